//! The pages: every link leads somewhere, every command stands in its page, and the merge gate runs what they say.

use std::path::Path;
use std::path::PathBuf;

use clap::CommandFactory as _;
use pipeline_examples::issue_pipeline::Arguments;

use super::world::World;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace is above")
        .to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a page of the project")
}

/// Returns every page of the project.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = Vec::new();
    let mut folders = vec![root().join("docs")];
    let top = std::fs::read_dir(root()).expect("the workspace");
    pages.extend(top.map(|entry| entry.expect("an entry").path()));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of pages") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                pages.push(path);
            }
        }
    }
    pages.retain(|path| path.extension().is_some_and(|x| x == "md"));
    pages.sort();
    pages
}

/// Returns the targets of a page's links, those in code left out.
fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second piece between backticks is code.
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        for (_, rest) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let target = rest.split([')', ' ']).next().expect("split gives one");
            links.push(target.to_owned());
        }
    }
    links
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut dead = Vec::new();
    let mut followed = 0;
    for page in pages() {
        for link in links(&read(&page)) {
            let path = link.split('#').next().expect("split gives one");
            if path.is_empty() || path.contains(':') {
                continue;
            }
            followed += 1;
            if !page.with_file_name("").join(path).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(followed > 10, "the links are not found");
    assert!(dead.is_empty(), "{dead:#?}");
}

/// Collects what a command has that its page does not name.
fn unnamed(command: &clap::Command, words: &str, page: &str, missing: &mut Vec<String>) {
    for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
        if let Some(long) = argument.get_long()
            && !["help", "version"].contains(&long)
            && !page.contains(&format!("`--{long}"))
        {
            missing.push(format!("{words} --{long}"));
        }
    }
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        let name = sub.get_name();
        let words = format!("{words} {name}");
        let words = words.trim_start();
        let followed = [" ", "`"].map(|end| format!("`{words}{end}"));
        if !followed.iter().any(|typed| page.contains(typed)) {
            missing.push(words.to_owned());
        }
        unnamed(sub, words, page, missing);
    }
}

#[test]
fn every_command_and_option_stands_in_the_page() {
    let page = read(&root().join("docs/cli.md"));
    let mut missing = Vec::new();
    unnamed(&Arguments::command(), "", &page, &mut missing);
    assert!(missing.is_empty(), "docs/cli.md does not name {missing:#?}");
}

/// Returns the commands of the shell blocks in one section of the README.
fn commands(section: &str) -> Vec<String> {
    let readme = read(&root().join("README.md"));
    let (_, rest) = readme
        .split_once(&format!("## {section}\n"))
        .expect("the section");
    let section = rest.split("\n## ").next().expect("split gives one");
    let blocks = section.split("```sh\n").skip(1);
    let commands = blocks.filter_map(|block| block.split("```").next());
    commands
        .flat_map(|block| block.lines().map(str::to_owned))
        .collect()
}

#[test]
fn the_quick_start_is_one_command_for_the_demo_and_one_for_the_tests() {
    let commands = commands("Quick start");
    let [demo, tests] = commands.as_slice() else {
        panic!("the quick start has {commands:?}");
    };
    assert!(demo.ends_with("-- demo"), "{demo}");
    let gate = read(&root().join(".ci/run"));
    assert!(
        gate.lines().any(|line| line == tests),
        "`{tests}` is not what the merge gate runs"
    );
    assert!(gate.contains("-- demo --dir "), "the demo is not run");
}

#[tokio::test]
async fn variables_come_from_a_file_that_is_never_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::ready("true").await;
    let file = world.top.join("home/.env");
    let example = read(&root().join(".env.example"));
    let more = "\nUSER=somebody\nSPACED=a b # c\nexport QUOTED='$(touch ran) `touch ran`'\n";
    std::fs::write(&file, example + more).expect("written");
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, closed).expect("closed");
    let path = file.display().to_string();

    world.run(&["--env-file", &path, "status"]).await.ended(0);
    let loader = root().join("scripts/with-env").display().to_string();
    let script = "echo \"$USER|$SPACED|$QUOTED\"";
    let arguments = [loader.as_str(), &path, "sh", "-c", script];
    let loaded = world.spec("sh", &world.repo(), &arguments).run().await;
    let loaded = super::world::done(&loaded.expect("runs"));
    // What the environment already has stays.
    assert_eq!(loaded.ended(0).out, "rei|a b|$(touch ran) `touch ran`\n");
    assert!(!world.repo().join("ran").exists());
}
