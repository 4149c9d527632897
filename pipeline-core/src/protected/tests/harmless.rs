//! What is not held: a recogniser that cries wolf is switched off.

use super::adding;
use super::held;
use super::hunk;
use super::names;
use super::rules;

#[test]
fn ordinary_commands_are_not_held() {
    for command in [
        "cargo test --workspace",
        "npm run build && npm test",
        "php artisan test",
        "git status --short && git diff && git log --oneline -5",
        "git add -A; git commit -m 'never git push --force'",
        "git push origin main",
        "git push --dry-run --force",
        "git push --help",
        "git checkout main",
        "git checkout -b feature",
        "git -C sub checkout main",
        "git reset HEAD~1",
        "git restore --staged x",
        "git clean -n",
        "git branch -a",
        "grep -rn 'DROP TABLE' migrations",
        "echo 'rm -rf storage' >> notes",
        "rg 'rsync --delete'",
        "rm -rf node_modules dist target",
        "rm -rf dist/assets build/static/*",
        "rm src/old.rs",
        "ls -R storage; du -sh public/uploads; find storage -name x",
        "cp storage/app/a.txt /tmp/",
        "cat assets/app.css",
        "rsync -a --delete --dry-run a b",
        "rsync -a a/ b/",
        "aws s3 ls s3://bucket",
        "aws s3 sync s3://bucket/x local",
        "scp host:/var/log/x .",
        "kubectl get pods",
        "kubectl apply --dry-run=client -f x",
        "helm template x",
        "terraform plan",
        "docker compose up -d",
        "docker build -t x .",
        "npm run deployment-docs-check",
        "python -c 'print(\"Delete from list\")'",
        "psql --version",
        "command -v psql",
        "python manage.py makemigrations",
        "prisma generate",
        "tar czf /tmp/backup.tgz storage",
        "curl -s http://127.0.0.1:18080/v1/models; echo rc=$?",
        "echo x > ../outside.txt; touch /etc/fake-model-probe",
        "cat > migration.sql <<'EOF'\nDROP TABLE x;\nEOF",
    ] {
        let holds = rules().command(command);
        assert!(holds.is_empty(), "{command}\n{holds:#?}");
    }
}

#[test]
fn ordinary_files_are_not_held() {
    for (path, content) in [
        (
            "docs/howto.md",
            "Never drop the table.\n\n    DROP TABLE users;\n    git push --force\n    rm -rf storage/",
        ),
        ("README.rst", "Run ``rsync --delete`` with care."),
        ("notes.txt", "DROP TABLE users;"),
        (
            "src/a.rs",
            "// DROP TABLE users;\n/* git push --force */\n/// rm -rf storage/app\nfn main() {}",
        ),
        (
            "src/a.rs",
            "/*\n   DELETE FROM users;\n   rsync -a --delete a b\n */\nfn main() {}",
        ),
        ("a.py", "# os.system('rm -rf storage')\n# DELETE FROM users"),
        (
            "a.sql",
            "-- DROP TABLE users;\n/* DELETE FROM users; */\nCREATE TABLE a (id INT);\nINSERT INTO a VALUES (1);",
        ),
        (
            "src/UserRepository.java",
            "String q = \"UPDATE users SET name = ? WHERE id = ?\";\nString d = \"DELETE FROM users WHERE id = ?\";",
        ),
        (
            "src/repo.go",
            "db.Exec(`DELETE FROM sessions\n\tWHERE expires < $1`, now)",
        ),
        (
            "src/repo.js",
            "await q('UPDATE users SET a = $1 ' +\n  'WHERE id = $2')",
        ),
        (
            "src/repo.py",
            "q = (\"UPDATE users SET a = %s \"\n     \"WHERE id = %s\")",
        ),
        (
            "src/list.tsx",
            "<Button title=\"Delete from list\">Update set</Button>\n<p class=\"truncate text-sm\">x</p>\n<p className=\"truncate\">",
        ),
        (
            "src/str.rs",
            "text.truncate(10);\nlist.drop();\nlet x = update(&mut set);",
        ),
        ("src/ui.js", "toast('we never DROP TABLE users here')"),
        (
            "src/data.ts",
            "const tools = [\"psql\", \"kubectl\", \"rsync\", \"git\"];",
        ),
        (
            "package-names.json",
            "{\"dependencies\": {\"semantic-release\": \"^24.0.0\", \"prisma\": \"^5\"}}",
        ),
        ("src/log.go", "log.Printf(\"use git push --force to fix\")"),
        (
            "src/Storage.php",
            "class Storage { public function rm($x) { return $this->disk->delete($x); } }",
        ),
        (
            "src/query.rb",
            "User.where(id: 1).update(name: 'x')\nPost.find(1).destroy",
        ),
        (
            "src/views/cart.blade.php",
            "<a>delete from cart</a> update your set",
        ),
        ("app.css", ".assets { background: url(images/x.png); }"),
    ] {
        let holds = held(rules(), &adding(path, content));
        assert!(holds.is_empty(), "{path}\n{content}\n{holds:#?}");
    }
}

/// Only what the patch writes is held, not what stands beside it.
#[test]
fn lines_that_stay_are_not_held() {
    let body = " #!/bin/sh\n git push --force\n-echo a\n+echo b\n rsync -a --delete a b";
    assert!(held(rules(), &hunk("tool/x.sh", "", body)).is_empty());
    let body = " DROP TABLE a;\n+CREATE TABLE b (id INT);\n SELECT 1;";
    assert_eq!(names(&held(rules(), &hunk("a.sql", "", body))), [""; 0]);
}

/// Every framework's migration drops in its undoing what it made; the class `migration` holds it already.
#[test]
fn the_undoing_part_of_a_migration_may_drop() {
    let laravel = "public function up(): void\n{\n    Schema::create('a', fn () => 1);\n}\n\n\
        public function down(): void\n{\n    Schema::dropIfExists('a');\n}";
    let path = "database/migrations/2024_01_01_000000_a.php";
    assert_eq!(names(&held(rules(), &adding(path, laravel))), ["migration"]);
    let swapped = laravel.replace("up()", "x()").replace("down()", "up()");
    assert_eq!(
        names(&held(rules(), &adding(path, &swapped))),
        ["db-change", "migration"]
    );

    let body = " {\n+    Schema::dropIfExists('b');\n     Schema::dropIfExists('a');";
    let in_down = hunk(path, "public function down(): void", body);
    assert_eq!(names(&held(rules(), &in_down)), ["migration"]);
    let in_up = hunk(path, "public function up(): void", body);
    assert_eq!(names(&held(rules(), &in_up)), ["db-change", "migration"]);
}
