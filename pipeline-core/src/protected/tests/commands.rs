//! Each kind in commands that were run, plain and wrapped.

use super::super::ProhibitedKind;
use super::super::ProhibitedRules;
use super::names;
use super::rules;

const DEPLOYS: &[&str] = &[
    "kubectl apply -f prod.yaml",
    "kubectl -n prod rollout restart deployment/web",
    "helm upgrade --install web ./chart",
    "terraform apply -auto-approve",
    "cd infra && terraform -chdir=prod destroy",
    "ansible-playbook -i prod site.yml",
    "cap production deploy",
    "fly deploy --app x",
    "vercel --prod",
    "firebase deploy --only hosting",
    "gcloud run deploy web --image x",
    "aws ecs update-service --cluster c --service s --force-new-deployment",
    "aws --profile prod --region eu-west-1 lambda update-function-code --function-name f",
    "git push heroku main",
    "git push production HEAD:main",
    "docker push registry/web:1",
    "docker buildx build --push -t x .",
    "./deploy.sh prod",
    "bash scripts/deploy-production.sh",
    "make deploy-prod",
    "npm run deploy",
    "npm publish",
    "cargo publish -p x",
    "vendor/bin/dep deploy production",
    "ssh web1 'sudo systemctl restart nginx'",
    "gh workflow run deploy.yml",
];

const DB_CHANGES: &[&str] = &[
    "psql -c 'SELECT 1'",
    "PGPASSWORD=x psql -h db -U app app",
    "mysql -u root app < dump.sql",
    "docker compose exec -T db psql -U app -c 'select 1'",
    "kubectl exec -it db-0 -- mysql -e 'show tables'",
    "php artisan migrate --force",
    "docker compose exec app php artisan migrate:fresh --seed",
    "bundle exec rails db:migrate",
    "bin/rails db:drop",
    "python manage.py migrate",
    "python3 backend/manage.py flush --no-input",
    "alembic upgrade head",
    "flyway -url=jdbc:x clean",
    "npx prisma migrate deploy",
    "npx prisma db push --accept-data-loss",
    "npx knex migrate:latest",
    "sqlx database drop -y",
    "diesel migration run",
    "dropdb app",
    "pg_restore -d app dump",
    "mongosh --eval 'db.users.drop()'",
    "redis-cli FLUSHALL",
    "sqlite3 app.db .tables",
    "echo 'select 1' | psql",
    "heroku run rails db:migrate",
    "FOO=1 sudo bash -c \"psql -c 'DROP TABLE x'\"",
];

const DATA_CHANGES: &[&str] = &[
    "psql -c 'DELETE FROM users'",
    "psql -c \"UPDATE users SET active = false WHERE id < 10\"",
    "mysql app -e 'TRUNCATE TABLE sessions'",
    "psql <<EOF\nBEGIN;\ndelete from users where id = 1;\nCOMMIT;\nEOF",
    "echo 'TRUNCATE sessions' | mysql app",
    "cat <<'EOF' | docker exec -i db mysql\nUPDATE a SET b = 1;\nEOF",
    "python -c \"cur.execute('DELETE FROM users')\"",
    "python3 - <<'EOF'\nimport x\nx.execute(\"UPDATE users SET a = 1\")\nEOF",
    "mongosh app --eval 'db.users.deleteMany({})'",
    "redis-cli -h cache flushdb",
    "sqlite3 a.db 'delete from t'",
];

const DESTRUCTIVE_GIT: &[&str] = &[
    "git push --force",
    "git push -f origin main",
    "git -C repo push origin +main",
    "git push --force-with-lease origin main",
    "git push origin :old",
    "git push origin --delete old",
    "git push --mirror backup",
    "git reset --hard HEAD~3",
    "git reset --har",
    "git -c core.hooksPath=/dev/null reset --hard",
    "git clean -fdx",
    "git checkout -- .",
    "git checkout -f main",
    "git checkout .",
    "git restore src/",
    "git branch -D feature",
    "git tag -d v1",
    "git update-ref -d refs/heads/main",
    "git filter-branch --all",
    "git filter-repo --path x",
    "git reflog expire --expire=now --all",
    "git gc --prune=now",
    "git stash clear",
    "git rebase -i HEAD~3",
    "git commit --amend --no-edit",
    "rm -rf .git",
    "rm -rf ./sub/.git/",
    "gh repo delete a/b --yes",
    "gh api -X DELETE repos/a/b",
    "env GIT_DIR=x git push --force",
    "sh -c 'cd x; git push -uf origin main'",
];

const OVERWRITES: &[&str] = &[
    "cp -r dist/* /var/www/html/",
    "sudo cp -a build /srv/app",
    "rsync -av dist/ user@web1:/var/www/app",
    "rsync -a dist/ web1:app/",
    "scp -r dist prod:/srv/www",
    "tar xzf build.tgz -C /var/www/html",
    "unzip -o build.zip -d /var/www/html",
    "rm -rf /var/www/html/*",
    "chown -R www-data /srv/app",
    "find /var/www -name '*.php' -delete",
    "git --work-tree=/var/www/html checkout -f",
    "aws s3 cp dist s3://bucket/ --recursive",
    "lftp -e 'mirror -R dist /public_html' ftp.example",
    "curl -T x.tgz ftp://example/htdocs/",
];

const SYNC_DELETES: &[&str] = &[
    "rsync -a --delete a/ b/",
    "rsync -a --delete-after a/ host:b/",
    "rsync -a --del a/ b/",
    "aws s3 sync dist s3://bucket --delete",
    "aws s3 sync --delete dist s3://bucket",
    "gsutil -m rsync -r -d a gs://b",
    "rclone sync a remote:b",
    "robocopy a b /MIR",
    "az storage blob sync -c x -s y --delete-destination true",
    "mc mirror --remove a b",
    "azcopy sync a b --delete-destination=true",
];

const BULK_FILES: &[&str] = &[
    "rm -rf storage/app",
    "rm storage/app/public/*",
    "rm -r ./public/uploads/",
    "find storage -type f -mtime +3 -delete",
    "find public/uploads -name '*.png' -exec rm {} +",
    "find assets -type f | xargs rm",
    "for f in assets/img/*; do rm \"$f\"; done",
    "D=storage; rm -rf \"$D\"",
    "chmod -R 777 storage",
    "mv public/images /tmp/images",
    "mv uploads/* old/",
    "cp -r new/* public/assets/",
    "mogrify -resize 50% public/images/*.jpg",
    "sed -i 's/a/b/' assets/js/*",
    "git rm -r assets",
    "aws s3 rm s3://bucket/media --recursive",
    "aws s3 rb s3://bucket --force",
    "gsutil -m rm -r gs://bucket/uploads",
    "rm -rf {storage,cache}/x",
    "python -c \"import shutil; shutil.rmtree('storage/app')\"",
    "cd app && sudo rm -rf storage/",
];

#[track_caller]
fn all_hold(kind: &str, commands: &[&str]) {
    for command in commands {
        let holds = rules().command(command);
        assert!(
            names(&holds).iter().any(|name| name == kind),
            "{command}\n  held: {holds:#?}"
        );
    }
}

#[test]
fn production_deploys_are_held() {
    all_hold("production-deploy", DEPLOYS);
}

#[test]
fn database_changes_are_held() {
    all_hold("db-change", DB_CHANGES);
}

#[test]
fn changes_of_existing_data_are_held() {
    all_hold("existing-data", DATA_CHANGES);
}

#[test]
fn destructive_git_is_held() {
    all_hold("destructive-git", DESTRUCTIVE_GIT);
}

#[test]
fn overwriting_production_folders_is_held() {
    all_hold("production-overwrite", OVERWRITES);
}

#[test]
fn synchronising_with_deletion_is_held() {
    all_hold("sync-delete", SYNC_DELETES);
}

#[test]
fn bulk_work_on_assets_and_storage_is_held() {
    all_hold("bulk-files", BULK_FILES);
}

/// However a command is dressed, it is found.
#[test]
fn every_dress_is_seen_through() {
    let dresses: [fn(&str) -> String; 12] = [
        |c| c.to_owned(),
        |c| format!("sudo {c}"),
        |c| format!("A=1 B='2 3' {c}"),
        |c| format!("/bin/bash -lc '{}'", c.replace('\'', "'\\''")),
        |c| format!("bash -c \"{}\"", c.replace('"', "\\\"").replace('$', "\\$")),
        |c| format!("ssh -p 22 deploy@host '{}'", c.replace('\'', "'\\''")),
        |c| format!("true && ( cd x; {c} ) || false"),
        |c| format!("docker exec -i app sh -c '{}'", c.replace('\'', "'\\''")),
        |c| format!("if true; then {c}; fi"),
        |c| format!("x=$({c})"),
        |c| format!("timeout 10 nohup nice {c} &"),
        |c| format!("sh <<'SCRIPT'\n{c}\nSCRIPT"),
    ];
    for (kind, command) in [
        ("production-deploy", "kubectl apply -f x"),
        ("db-change", "psql -c 'DROP TABLE x'"),
        ("existing-data", "psql -c 'DELETE FROM x'"),
        ("destructive-git", "git push --force"),
        ("production-overwrite", "rm -rf /var/www/html"),
        ("sync-delete", "rsync -a --delete a/ b/"),
        ("bulk-files", "rm -rf storage/app"),
    ] {
        for dress in dresses {
            let dressed = dress(command);
            let found = names(&rules().command(&dressed));
            assert!(
                found.iter().any(|name| name == kind),
                "{dressed}: {found:?}"
            );
        }
    }
}

#[test]
fn program_calls_without_a_shell_are_held() {
    let argv = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let held = |words: &[&str]| names(&rules().argv(&argv(words)));
    assert_eq!(held(&["git", "push", "--force"]), ["destructive-git"]);
    assert_eq!(
        held(&["bash", "-lc", "rsync -a --delete a b"]),
        ["sync-delete"]
    );
    assert_eq!(held(&["echo", "git push --force"]), [""; 0]);
    assert_eq!(held(&[]), [""; 0]);
}

/// Nested deeper than the reader goes, or longer: read flat, and found all the same.
#[test]
fn what_is_too_deep_is_held_too() {
    let deep = format!("{}git push --force{}", "$(".repeat(60), ")".repeat(60));
    assert_eq!(names(&rules().command(&deep)), ["destructive-git"]);
    let long = format!("{}\ngit push --force", "a;".repeat(30_000));
    assert_eq!(names(&rules().command(&long)), ["destructive-git"]);
}

#[test]
fn the_sentence_names_command_rule_and_id() {
    let holds = rules().command("sudo git push --force \x1b[31morigin\u{202e}");
    insta::assert_snapshot!(holds[0].to_string(), @r"a command that was run lets git destroy work or history: `git push --force \u{1b}[31morigin\u{202e}` (rule `git-push-force`); an OK lifts this with `--protected 6a5260e5b1`");
}

#[test]
fn prohibited_commands_end_a_read_only_run() {
    use ProhibitedKind::Build;
    use ProhibitedKind::Database;
    use ProhibitedKind::Deploy;
    use ProhibitedKind::Edit;
    use ProhibitedKind::Network;
    use ProhibitedKind::Test;
    let rules = ProhibitedRules::builtin();
    for (command, kind) in [
        ("cargo test -p x", Test),
        ("cd app && npm test", Test),
        ("npm run test:unit", Test),
        ("python -m pytest -q", Test),
        ("vendor/bin/phpunit", Test),
        ("docker compose exec app php artisan test", Test),
        ("bash -lc 'go test ./...'", Test),
        ("make check", Test),
        ("cargo build", Build),
        ("npm ci", Build),
        ("make", Build),
        ("./gradlew assemble", Build),
        ("tsc --noEmit", Build),
        ("pip install x", Build),
        ("docker compose up -d", Build),
        ("kubectl apply -f x", Deploy),
        ("./deploy.sh", Deploy),
        ("psql -c 'select 1'", Database),
        ("mysqldump app", Database),
        ("curl -s https://example.org", Network),
        ("wget x", Network),
        ("ssh host ls", Network),
        ("git fetch origin", Network),
        ("git push", Network),
        ("nc -l 80", Network),
        ("aws s3 ls", Network),
        ("npm view x", Network),
        ("/bin/bash -c 'echo x > ../outside.txt; echo rc=$?'", Edit),
        ("echo x >> notes.txt", Edit),
        ("touch x", Edit),
        ("sed -i s/a/b/ x", Edit),
        ("sed -Ei.bak s/a/b/ x", Edit),
        ("perl -pi -e s/a/b/ x", Edit),
        ("cat x | tee y", Edit),
        ("git commit -am x", Edit),
        ("git stash", Edit),
        ("git checkout main", Edit),
        ("git branch -m a b", Edit),
        ("apply_patch <<'EOF'\n*** Begin Patch\nEOF", Edit),
        ("find . -name x -delete", Edit),
        ("find . -exec sed -i s/a/b/ {} +", Edit),
        ("prettier --write .", Edit),
        ("rm -rf x", Edit),
    ] {
        let found = rules.command(command);
        assert!(
            found.iter().any(|found| found.kind == kind),
            "{command}: {found:#?}"
        );
    }
    for command in [
        "/bin/bash -c 'env | cut -d= -f1 | sort'",
        "/bin/bash -c 'ls -a && pwd'",
        "/bin/bash -c 'cat README.md'",
        "git log --oneline -20 | head -5 2>/dev/null",
        "git diff HEAD~1 -- src && git show --stat && git status --short",
        "git stash list; git branch -a; git tag --list; git blame x; git grep 'npm test'",
        "rg -n 'cargo test|curl' src | wc -l",
        "find . -name '*.rs' -not -path './target/*' | xargs grep -l 'rm -rf'",
        "sed -n '1,80p' src/lib.rs",
        "awk '{print $1}' x | sort | uniq -c",
        "cat package.json | jq .scripts",
        "head -c 100 x; tail -n 5 y; nl z; file a; stat b; du -sh .; tree -L 2",
        "command -v psql; which curl; type make",
        "grep -rn 'DROP TABLE' db/ > /tmp/out 2>&1; cat /tmp/out",
        "for f in $(git ls-files); do echo $f; done",
        "python -c 'print(1)'",
        "node -e 'console.log(require(\"./package.json\").version)'",
        "cargo --version; npm --version; psql --version; curl --help",
        "cargo metadata --no-deps; cargo tree",
    ] {
        assert_eq!(rules.command(command), [], "{command}");
    }
}

#[test]
fn a_prohibited_command_is_named() {
    let found = ProhibitedRules::builtin().command("sudo npm test");
    insta::assert_snapshot!(found[0].to_string(), @"a command runs tests in a read-only run: `npm test` (rule `test-runner`)");
}
