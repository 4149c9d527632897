//! Each class and each kind in patches.

use std::fmt::Write as _;

use super::adding;
use super::held;
use super::hunk;
use super::names;
use super::rules;
use crate::patch::PatchLimits;
use crate::patch::parse;
use crate::patch::tests::adding_binary;

#[test]
fn protected_paths_are_held_by_class() {
    for (class, paths) in [
        (
            "ci",
            &[
                ".github/workflows/ci.yml",
                ".gitlab-ci.yml",
                "Jenkinsfile",
                ".circleci/config.yml",
                "azure-pipelines.yml",
                ".GitHub/Workflows/x.yml",
                ".ci/run",
            ][..],
        ),
        (
            "git",
            &[
                ".gitattributes",
                ".gitmodules",
                "sub/.gitignore",
                ".gitconfig",
                ".gitkeep",
                ".GITATTRIBUTES",
            ],
        ),
        (
            "hooks",
            &[
                ".husky/pre-commit",
                ".githooks/x",
                "tools/hooks/pre-push",
                "lefthook.yml",
                ".pre-commit-config.yaml",
                ".vscode/tasks.json",
                ".envrc",
            ],
        ),
        (
            "build-script",
            &[
                "Makefile",
                "build.rs",
                "app/build.gradle.kts",
                "Dockerfile",
                "docker-compose.yml",
                "setup.py",
                "vite.config.ts",
                "pom.xml",
                "CMakeLists.txt",
                ".cargo/config.toml",
                ".npmrc",
            ],
        ),
        (
            "lockfile",
            &[
                "Cargo.lock",
                "package-lock.json",
                "web/yarn.lock",
                "pnpm-lock.yaml",
                "composer.lock",
                "Gemfile.lock",
                "poetry.lock",
                "go.sum",
                "uv.lock",
            ],
        ),
        (
            "migration",
            &[
                "database/migrations/2024_a.php",
                "db/migrate/1_a.rb",
                "app/migrations/0001_initial.py",
                "prisma/schema.prisma",
                "db/schema.rb",
                "alembic/versions/a.py",
                "src/main/resources/db/migration/V1__a.sql",
                "x.up.sql",
            ],
        ),
        (
            "agent-config",
            &[
                "AGENTS.md",
                "CLAUDE.md",
                ".claude/settings.json",
                ".codex/config.toml",
                "sub/.cursor/rules/a.mdc",
                ".mcp.json",
                "pipeline.toml",
                ".pipeline/rules.toml",
            ],
        ),
    ] {
        for path in paths {
            let holds = held(rules(), &adding(path, "x"));
            assert_eq!(names(&holds), [class], "{path}");
        }
    }
}

#[test]
fn both_ends_of_a_rename_are_looked_at() {
    let rename = |from: &str, to: &str| {
        format!(
            "diff --git a/{from} b/{to}\nsimilarity index 100%\nrename from {from}\nrename to {to}\n"
        )
    };
    assert_eq!(
        names(&held(rules(), rename("a.txt", ".gitattributes").as_bytes())),
        ["git"]
    );
    assert_eq!(
        names(&held(rules(), rename("Cargo.lock", "old.txt").as_bytes())),
        ["lockfile"]
    );
}

#[test]
fn a_manifest_is_held_for_what_it_runs() {
    let dependency = "{\n  \"dependencies\": {\n    \"left-pad\": \"1.0.0\"\n  }\n}";
    assert!(held(rules(), &adding("package.json", dependency)).is_empty());
    let script = "{\n  \"scripts\": {\n    \"postinstall\": \"node x.js\"\n  }\n}";
    assert_eq!(
        names(&held(rules(), &adding("package.json", script))),
        ["build-script"]
    );
    assert_eq!(
        names(&held(rules(), &adding("a/Cargo.toml", "build = \"b.rs\""))),
        ["build-script"]
    );
    assert!(held(rules(), &adding("a/Cargo.toml", "serde = \"1\"")).is_empty());
}

#[test]
fn each_kind_is_held_in_a_patch() {
    for (kind, cases) in [
        (
            "production-deploy",
            &[
                (
                    "tool/release-all.sh",
                    "#!/bin/sh\nset -e\nkubectl apply -f k8s/prod.yaml",
                ),
                ("tool/x.sh", "helm upgrade \\\n  --install web chart"),
                (
                    "config/tasks.yml",
                    "jobs:\n  - run: terraform apply -auto-approve",
                ),
                (
                    "web/tasks.json",
                    "{\"scripts\": {\"ship\": \"firebase deploy\"}}",
                ),
                (
                    "src/deploy.py",
                    "subprocess.run([\"aws\", \"ecs\", \"update-service\", \"--cluster\", \"x\"])",
                ),
                (
                    "src/deploy.rs",
                    "Command::new(\"kubectl\").arg(\"apply\").args([\"-f\", \"x\"]);",
                ),
                ("src/x.rb", "system \"cap production deploy\""),
                ("tool/y", "#!/bin/sh\ngit push heroku main"),
            ][..],
        ),
        (
            "db-change",
            &[
                ("reset.sql", "DROP TABLE users;"),
                ("reset.sql", "drop\n  table\n  if exists users;"),
                ("db/a.sql", "ALTER TABLE users\n  DROP COLUMN email;"),
                (
                    "db/a.sql",
                    "ALTER TABLE users ADD a INT, DROP CONSTRAINT c, DROP COLUMN email;",
                ),
                ("src/a.py", "cursor.execute(\"DROP TABLE users\")"),
                ("src/a.php", "DB::statement('drop table users');"),
                ("tool/a.sh", "psql <<EOF\nDROP DATABASE app;\nEOF"),
                ("tool/a.sh", "php artisan migrate --force"),
                (
                    "tool/a.sh",
                    "docker compose run --rm app bundle exec rails db:migrate",
                ),
                ("tool/a.sh", "psql -f dump.sql"),
                (
                    "app/migrations/0002_x.py",
                    "operations = [migrations.RemoveField('a', 'b')]",
                ),
                ("db/migrate/1_x.rb", "def up\n  drop_table :users\nend"),
                (
                    "src/a.js",
                    "await db.collection('x').drop(); await db.users.drop()\nclient.db().dropDatabase()",
                ),
            ],
        ),
        (
            "existing-data",
            &[
                ("fix.sql", "UPDATE users SET active = 0 WHERE id < 100;"),
                ("fix.sql", "DELETE FROM users WHERE id = 1;"),
                ("fix.sql", "TRUNCATE sessions;"),
                (
                    "fix.sql",
                    "INSERT INTO a (b) VALUES (1) ON CONFLICT (b) DO UPDATE SET c = 2;",
                ),
                ("src/a.py", "cursor.execute(\"DELETE FROM users\")"),
                (
                    "src/a.py",
                    "cursor.execute(\"\"\"\n    UPDATE users\n    SET active = 0\n\"\"\")",
                ),
                ("src/a.go", "db.Exec(\"TRUNCATE TABLE sessions\")"),
                ("src/a.go", "db.Exec(\"DELETE FROM users WHERE 1=1\")"),
                ("src/a.js", "await db.users.deleteMany({})"),
                ("src/a.rb", "redis.flushall"),
                ("lib/tasks/a.rake", "User.update_all(active: false)"),
                (
                    "app/management/commands/x.py",
                    "User.objects.all().delete()",
                ),
                (
                    "database/migrations/1_a.php",
                    "DB::table('users')->update(['a' => 1]);",
                ),
            ],
        ),
        (
            "destructive-git",
            &[
                ("tool/a.sh", "git push --force origin main"),
                ("tool/a.sh", "  git reset --hard origin/main"),
                ("tool/a.sh", "if true; then\n  git clean -fdx\nfi"),
                ("src/a.py", "subprocess.check_call(['git', 'push', '-f'])"),
                (
                    "src/a.rs",
                    "Command::new(\"git\").args([\"reset\", \"--hard\"]).status()",
                ),
                ("src/a.js", "exec(`git push --force`)"),
                ("x.yaml", "script:\n  - cd repo && git push --force"),
            ],
        ),
        (
            "production-overwrite",
            &[
                ("tool/a.sh", "cp -r dist/* /var/www/html/"),
                ("tool/a.sh", "scp -r dist user@host:/srv/app"),
                ("tool/a.sh", "DEST=/var/www/html\ncp -r dist/* \"$DEST\""),
                ("src/a.py", "os.system('rsync -a dist/ web:/var/www')"),
            ],
        ),
        (
            "sync-delete",
            &[
                ("tool/a.sh", "rsync -avz --delete \\\n  dist/ backup/"),
                ("tool/a.sh", "aws s3 sync dist s3://bucket --delete"),
                (
                    "src/a.js",
                    "execSync(\"aws s3 sync ./out s3://site --delete\")",
                ),
                ("x.toml", "cmd = \"rclone sync a b:c\""),
            ],
        ),
        (
            "bulk-files",
            &[
                ("tool/a.sh", "rm -rf storage/app/public"),
                ("tool/a.sh", "find public/uploads -type f -delete"),
                (
                    "tool/a.sh",
                    "for d in storage uploads; do\n  rm -rf \"$d\"\ndone",
                ),
                ("src/a.py", "shutil.rmtree('storage/app')"),
                (
                    "src/a.js",
                    "fs.rmSync('public/uploads', { recursive: true })",
                ),
                ("src/a.rb", "FileUtils.rm_rf('public/uploads')"),
                ("src/a.go", "os.RemoveAll(\"storage/tmp\")"),
            ],
        ),
    ] {
        for (path, content) in cases {
            let holds = held(rules(), &adding(path, content));
            assert!(
                names(&holds).iter().any(|name| name == kind),
                "{kind} in {path}\n{content}\n{holds:#?}"
            );
        }
    }
}

/// What stood there already becomes dangerous by what is taken away or put beside it.
#[test]
fn a_statement_that_the_patch_completes_is_held() {
    let body = " DELETE FROM users\n-  WHERE id = 1\n ;";
    assert_eq!(
        names(&held(rules(), &hunk("src/a.go", "", body))),
        ["existing-data"]
    );
    let body = " rsync -a \\\n+  --delete \\\n   a b";
    assert_eq!(
        names(&held(rules(), &hunk("tool/a.sh", "", body))),
        ["sync-delete"]
    );
}

#[test]
fn many_asset_files_at_once_are_held() {
    let delete = |path: &str| {
        format!(
            "diff --git a/{path} b/{path}\ndeleted file mode 100644\n\
             index 587be6b4c3f93f93c489c0111bba5596147a26cb..0000000000000000000000000000000000000000\n\
             --- a/{path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        )
    };
    let many = |folder: &str, count: u32, ending: &str| -> Vec<u8> {
        (0..count)
            .map(|n| delete(&format!("{folder}/{n}.{ending}")))
            .collect::<String>()
            .into_bytes()
    };
    assert!(held(rules(), &many("public/images", 9, "png")).is_empty());
    assert_eq!(
        names(&held(rules(), &many("public/images", 10, "png"))),
        ["bulk-files"]
    );
    assert_eq!(
        names(&held(rules(), &many("storage/app", 10, "dat"))),
        ["bulk-files"]
    );
    // A folder named `storage` may hold the program that stores.
    assert!(held(rules(), &many("src/storage", 30, "rs")).is_empty());
    assert_eq!(
        names(&held(rules(), &many("public_html", 20, "html"))),
        ["production-overwrite"]
    );
    assert!(held(rules(), &many("src", 200, "rs")).is_empty());
}

/// One zero byte makes a text binary to git; it runs all the same.
#[test]
fn binary_content_is_read_too() {
    let content = b"#!/bin/sh\ngit push --force\n\0";
    let patch = adding_binary("tool/a.sh", content);
    assert_eq!(names(&held(rules(), patch.as_bytes())), ["destructive-git"]);
}

#[test]
fn very_many_findings_are_held_together() {
    let lines: String = (0..200).map(|n| format!("DROP TABLE t{n};\n")).collect();
    let holds = held(rules(), &adding("a.sql", &lines));
    insta::assert_snapshot!(holds[0].to_string(), @"`a.sql` changes a database in 200 lines from line 1 on (rule `drop-data`); an OK lifts this with `--protected 0aae77948b`");
    assert_eq!(holds.len(), 1);
    let other = held(rules(), &adding("a.sql", &lines.replace("t7;", "u7;")));
    assert_ne!(holds[0].id, other[0].id);
}

#[test]
fn a_very_long_line_is_shown_short_and_told_apart_by_its_end() {
    let line = |end: &str| format!("DROP TABLE {}{end};", "x".repeat(5000));
    let one = held(rules(), &adding("a.sql", &line("a")));
    let other = held(rules(), &adding("a.sql", &line("b")));
    assert!(one[0].to_string().len() < 500);
    assert!(serde_json::to_string(&one[0]).unwrap().len() < 1000);
    assert_ne!(one[0].id, other[0].id);
}

/// The work on a hostile patch of the largest size stays bounded.
#[test]
fn hostile_lines_take_bounded_time() {
    let limits = PatchLimits::default();
    for unit in [
        "\"git\" ",
        "git ",
        "DELETE FROM ",
        "'",
        "$(",
        "\"DROP TABLE a",
        "sudo ",
        "`",
        "{a,b}",
        "/*",
        "git push \"",
        "<<A ",
    ] {
        let line = unit.repeat(40_000 / unit.len());
        for path in ["a.sh", "a.py", "a.sql"] {
            let patch = adding(path, &line);
            let holds = rules().patch(&parse(&patch, &limits).unwrap());
            assert!(holds.len() <= 60);
        }
    }
}

#[test]
fn sentences_tell_what_where_and_how_to_lift() {
    let mut sentences = String::new();
    for (path, content) in [
        ("Cargo.lock", "x"),
        ("db/migrate/1.rb", "x"),
        (".github/workflows/x.yml", "x"),
        ("tool/a.sh", "\ngit push --force\u{202e}"),
        ("a.sql", "DROP TABLE users;"),
        ("tool/b.sh", "rsync --delete a b"),
    ] {
        for hold in held(rules(), &adding(path, content)) {
            writeln!(sentences, "{hold}").unwrap();
        }
    }
    insta::assert_snapshot!(sentences, @r"
    `Cargo.lock` pins dependencies (rule `lockfile`); an OK lifts this with `--allow lockfile`
    `db/migrate/1.rb` changes the database schema (rule `migration`); an OK lifts this with `--allow migration`
    `.github/workflows/x.yml` steers continuous integration (rule `ci`); an OK lifts this with `--allow ci`
    line 2 of `tool/a.sh` lets git destroy work or history: `git push --force\u{202e}` (rule `git-push-force`); an OK lifts this with `--protected a37dbde1c4`
    line 1 of `a.sql` changes a database: `DROP TABLE users` (rule `drop-data`); an OK lifts this with `--protected 7599918d8a`
    line 1 of `tool/b.sh` synchronises with deletion: `rsync --delete a b` (rule `sync-delete`); an OK lifts this with `--protected 666c0e2d70`
    ");
}
