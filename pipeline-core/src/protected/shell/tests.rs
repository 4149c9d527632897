use std::sync::LazyLock;

use proptest::prelude::*;

use super::Command;
use super::Wrappers;
use super::read;
use crate::protected::find::shown;
use crate::protected::rules::builtin_file;

fn wrappers() -> &'static Wrappers {
    static WRAPPERS: LazyLock<Wrappers> = LazyLock::new(|| Wrappers::new(builtin_file().wrapper));
    &WRAPPERS
}

fn commands(text: &str) -> Vec<Command> {
    let reading = read(text, wrappers());
    assert!(reading.complete, "{text}");
    reading.commands
}

fn lines(text: &str) -> Vec<String> {
    commands(text).iter().map(shown).collect()
}

/// Says whether the program call is found, among the wrappers around it.
#[track_caller]
fn runs(text: &str, expected: &str) {
    let found = lines(text);
    assert!(
        found.iter().any(|line| line == expected),
        "{text}\n  gives {found:#?}"
    );
}

#[test]
fn words_are_read_as_a_shell_reads_them() {
    for (text, expected) in [
        ("git push", "git push"),
        (r#""git" 'pu'sh"#, "git push"),
        (r"g\it pu\sh", "git push"),
        ("git \\\n  push", "git push"),
        ("git  push # --force", "git push"),
        ("git push#1", "git push#1"),
        (r"git $'pu\x73h' $'\u0061'", "git push a"),
        (r#"echo "a \"b\" $X ${Y} c""#, r#"echo 'a "b" $X $Y c'"#),
        ("X=push; git $X", "git push"),
        ("X='push --force'; git $X", "git push --force"),
        ("export R=origin; git push \"$R\"", "git push origin"),
        ("git ${CMD:-push} x", "git push x"),
        ("git $(echo push) x", "git push x"),
        ("git `echo push` x", "git push x"),
        ("rm -rf $UNKNOWN/x", "rm -rf $UNKNOWN/x"),
        ("a <<< 'in put'", "a"),
        ("a >out 2>&1 <in", "a < in > out"),
        ("2>/dev/null a", "a > /dev/null"),
        ("a &>all", "a > all"),
    ] {
        runs(text, expected);
    }
}

#[test]
fn every_command_of_a_script_is_found() {
    let script = "set -e\nif [ -f x ]; then one; else two & fi\nwhile three; do four | five; done\n\
        ( six && seven ) || eight\nfoo() { nine; }\ncase $X in a) ten;; *) eleven;; esac\n\
        ! twelve\nx=$(thirteen \"$(fourteen)\") fifteen\ncat <(sixteen)";
    let found = lines(script);
    for name in [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve", "fourteen", "fifteen", "sixteen",
    ] {
        assert!(
            found.iter().any(|line| line == name),
            "{name} in {found:#?}"
        );
    }
}

#[test]
fn wrappers_are_looked_through() {
    for text in [
        "sudo rm x",
        "sudo -u www -E rm x",
        "A=1 B=2 env -i C=3 rm x",
        "nohup nice -n 5 timeout -k 1 10 rm x &",
        "bash -c 'rm x'",
        "/bin/bash -lc 'rm x'",
        "bash -e -c \"rm x\"",
        "sh -c \"sh -c 'rm x'\"",
        "FOO=1 sudo bash -c \"rm x\"",
        "echo 'rm x' | sh",
        "bash <<'EOF'\nrm x\nEOF",
        "bash <<< 'rm x'",
        "eval 'rm x'",
        "ssh -p 22 user@host 'rm x'",
        "ssh host sudo rm x",
        "ssh host <<EOF\nrm x\nEOF",
        "docker exec -it db rm x",
        "docker compose exec -T db sh -c 'rm x'",
        "docker run --rm -v /a:/b image rm x",
        "kubectl -n prod exec pod -- rm x",
        "kubectl exec -it pod -c app -- sh -c 'rm x'",
        "echo x | xargs rm",
        "cat list | xargs -n1 rm x",
        "su - postgres -c 'rm x'",
        "npx rm x",
        "bundle exec rm x",
        "cmd /c rm x",
        "trap 'rm x' EXIT",
        "(cd a && { rm x; })",
        "true; \\rm x",
        "\"$(rm x)\"",
    ] {
        runs(text, "rm x");
    }
}

#[test]
fn what_flows_into_a_program_is_known() {
    let input = |text: &str| {
        let commands = commands(text);
        let client = commands
            .iter()
            .find(|command| command.program() == "psql")
            .unwrap();
        client.stdin.join("|")
    };
    assert_eq!(input("echo 'DROP TABLE a' | psql"), "DROP TABLE a");
    assert_eq!(
        input("psql db <<EOF\nDROP TABLE a;\nEOF\nls"),
        "DROP TABLE a;\n"
    );
    assert_eq!(
        input("psql <<-'EOF' && ls\n\tDROP TABLE a;\n\tEOF\n"),
        "DROP TABLE a;\n"
    );
    assert_eq!(input("sudo -u postgres psql <<EOF\nDROP\nEOF"), "DROP\n");
    assert_eq!(input("docker exec -i db psql <<< 'DROP'"), "DROP");
    assert_eq!(input("cat <<EOF | psql\nDROP\nEOF\n"), "DROP\n");
    assert_eq!(input("cat <<EOF | cat | psql\nDROP\nEOF\n"), "DROP\n");
}

#[test]
fn find_and_loops_name_the_folders_they_walk() {
    runs("find storage -type f -exec rm {} \\;", "rm storage/*");
    runs("find storage -name '*.x' | xargs rm -f", "rm -f storage/*");
    runs(
        "for d in storage uploads; do rm -rf \"$d\"; done",
        "rm -rf storage uploads",
    );
    runs("for d in a b\ndo\nrm $d/x\ndone", "rm a b/x");
}

#[test]
fn positions_point_into_the_outermost_text() {
    let text = "first\n  sudo sh -c 'second'\nthird";
    for command in commands(text) {
        let at = text.get(command.start..command.end).unwrap();
        let name = if command.program() == "first" {
            "first"
        } else {
            at
        };
        assert!(
            at.contains(command.program()),
            "{command:?} at {at:?} {name}"
        );
    }
}

#[test]
fn too_deep_and_too_long_is_said() {
    let deep = format!("{}x{}", "$(".repeat(100), ")".repeat(100));
    assert!(!read(&deep, wrappers()).complete);
    let many = "a;".repeat(30_000);
    assert!(!read(&many, wrappers()).complete);
}

/// A value that doubles itself must not grow without bound.
#[test]
fn variables_do_not_grow_without_bound() {
    let bomb = format!("a=xxxxxxxxxxxxxxxx\n{}echo $a", "a=$a$a\n".repeat(64));
    let reading = read(&bomb, wrappers());
    let size: usize = reading
        .commands
        .iter()
        .flat_map(|c| &c.words)
        .map(String::len)
        .sum();
    assert!(size < 10_000, "{size}");
}

/// `sudo` a hundred thousand times is read once per level, not once per pair of levels.
#[test]
fn nested_wrappers_cost_linear_time() {
    let long = "sudo ".repeat(100_000);
    assert!(!read(&long, wrappers()).complete);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}") {
        let reading = read(&text, wrappers());
        for command in &reading.commands {
            prop_assert!(!command.words.is_empty());
            prop_assert!(command.start <= command.end && command.end <= text.len());
        }
    }

    #[test]
    fn shell_like_text_never_panics(
        text in "(\\$\\(|\\)|`|'|\"|\\\\|\n|;|\\||&|<<EOF|<<<|>|<|\\$\\{|\\}|\\$'|#| |a=|bash -c |xargs |for x in |do |done|case |in |EOF\n|find . -exec |ssh h |\u{fc}){0,40}",
    ) {
        let reading = read(&text, wrappers());
        for command in &reading.commands {
            prop_assert!(!command.words.is_empty());
            prop_assert!(command.start <= command.end && command.end <= text.len());
        }
    }
}
