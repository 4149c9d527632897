use super::*;

async fn git() -> Git {
    Git::probe(GitOptions::default())
        .await
        .expect("git is installed where tests run")
}

#[tokio::test]
async fn a_missing_git_is_named_with_what_to_do() {
    let error = Git::probe(GitOptions::new("/nowhere/git"))
        .await
        .expect_err("there is none");
    insta::assert_snapshot!(error, @"git is missing: `/nowhere/git` cannot be started; install git 2.36.0 or newer, or name its path in the configuration");
}

#[tokio::test]
async fn an_unknown_option_names_the_version_that_is_needed() {
    let command = git().await.anywhere().args(["version", "--never-heard-of"]);
    let error = command.run().await.expect_err("no git knows it");
    insta::assert_snapshot!(error, @"this git is too old: it does not know `never-heard-of`, which git 2.36 has");
}

#[tokio::test]
async fn nothing_inherited_reaches_git() {
    // What the child really sees, as git's own alias mechanism shows it.
    let shown = git()
        .await
        .anywhere()
        .config("alias.show-env=!env")
        .args(["show-env"])
        .run()
        .await
        .expect("an alias given by us runs");
    let text = String::from_utf8_lossy(&shown);
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| !["PWD", "SHLVL", "_", "GIT_CONFIG_PARAMETERS", "OLDPWD"].contains(name))
        .collect();
    let mut expected: Vec<_> = ENVIRONMENT.iter().map(|(name, _)| *name).collect();
    expected.extend(["PATH", "GIT_EXEC_PATH", "GIT_PREFIX"]);
    for name in names {
        assert!(expected.contains(&name), "{name} leaked into git");
    }
}

#[tokio::test]
async fn output_over_the_cap_is_an_error_and_not_a_cut_answer() {
    let command = git().await.anywhere().args(["help", "-a"]).output_cap(10);
    assert!(matches!(
        command.run().await,
        Err(GitError::Flooded { limit: 10, .. })
    ));
}

#[test]
fn argv_puts_overrides_before_the_subcommand() {
    let options = GitOptions::default();
    let git = Git {
        shared: Arc::new(Shared {
            options,
            version: MINIMUM,
            attr_source: false,
        }),
    };
    let argv = git
        .at(Path::new("/r/.git"))
        .work_tree(Path::new("/w"))
        .config("core.autocrlf=false")
        .args(["diff-tree", "--", "-name"])
        .argv();
    let tail: Vec<_> = argv[argv.len() - 7..]
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    insta::assert_debug_snapshot!(tail, @r#"
    [
        "-c",
        "core.autocrlf=false",
        "--git-dir=/r/.git",
        "--work-tree=/w",
        "diff-tree",
        "--",
        "-name",
    ]
    "#);
}
