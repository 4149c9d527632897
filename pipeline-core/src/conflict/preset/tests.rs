use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::conflict::{
    Area, AreaClass, Areas, ConflictClass, ConflictDetector as _, Mode, RuleSet,
};
use crate::footprint::Footprint;

/// A tree of real-world file names and what is known about its pairs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tree {
    /// The presets that the tree must be taken for.
    presets: Vec<String>,
    #[serde(default)]
    collide: Vec<Collide>,
    #[serde(default)]
    alone: Vec<Alone>,
    #[serde(default)]
    apart: Vec<Apart>,
}

/// Files of which every pair collides, or every pair across two groups.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collide {
    class: ConflictClass,
    key: Option<String>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    across: Vec<Vec<String>>,
}

/// Files beside which nothing else of the tree may run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alone {
    class: ConflictClass,
    files: Vec<String>,
}

/// Files of which no pair collides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apart {
    files: Vec<String>,
}

const TREES: [(&str, &str); 13] = [
    ("laravel", include_str!("trees/laravel.toml")),
    ("rails", include_str!("trees/rails.toml")),
    ("django", include_str!("trees/django.toml")),
    ("spring", include_str!("trees/spring.toml")),
    ("node-express", include_str!("trees/node-express.toml")),
    ("node-nest", include_str!("trees/node-nest.toml")),
    ("react-next", include_str!("trees/react-next.toml")),
    ("react-vite", include_str!("trees/react-vite.toml")),
    ("vue-vite", include_str!("trees/vue-vite.toml")),
    ("vue-nuxt", include_str!("trees/vue-nuxt.toml")),
    ("go", include_str!("trees/go.toml")),
    ("rust", include_str!("trees/rust.toml")),
    ("generic", include_str!("trees/generic.toml")),
];

impl Tree {
    fn files(&self) -> impl Iterator<Item = &String> {
        self.collide
            .iter()
            .flat_map(|group| group.files.iter().chain(group.across.iter().flatten()))
            .chain(self.alone.iter().flat_map(|group| &group.files))
            .chain(self.apart.iter().flat_map(|group| &group.files))
    }
}

/// Collects what is wrong, so that one run shows all of it.
struct Check {
    areas: BTreeMap<String, Areas>,
    wrong: Vec<String>,
}

impl Check {
    fn new(tree: &Tree) -> Self {
        let presets: Vec<String> = tree
            .presets
            .iter()
            .map(|preset| format!("{preset:?}"))
            .collect();
        let rules = RuleSet::from_toml(&format!("presets = [{}]", presets.join(","))).unwrap();
        let detector = rules.detector("main").unwrap();
        let areas = tree
            .files()
            .map(|file| {
                (
                    file.clone(),
                    detector.areas(&Footprint::from_candidates([file])),
                )
            })
            .collect();
        Self {
            areas,
            wrong: Vec::new(),
        }
    }

    fn shown(&self, file: &str) -> String {
        let shown = |area: &Area| format!("{} by {}", area.key, area.rule);
        format!(
            "{file} [{}]",
            self.areas[file]
                .iter()
                .map(shown)
                .collect::<Vec<_>>()
                .join(", ")
        )
    }

    fn pair(&mut self, a: &str, b: &str, class: Option<(ConflictClass, Option<&str>)>) {
        let conflicts = self.areas[a].conflicts_with(&self.areas[b]);
        let right = match class {
            None => conflicts.is_empty(),
            Some((class, key)) => conflicts.iter().any(|conflict| {
                conflict.class == class && key.is_none_or(|key| conflict.key.to_string() == key)
            }),
        };
        if !right {
            let found: Vec<String> = conflicts
                .iter()
                .map(|it| format!("{} {}", it.class, it.key))
                .collect();
            self.wrong.push(format!(
                "{}\n  and {}\n  must be {class:?}, are {found:?}",
                self.shown(a),
                self.shown(b)
            ));
        }
    }
}

#[test]
fn every_tree_is_judged_rightly() {
    let mut all_wrong = Vec::new();
    for (name, text) in TREES {
        let tree: Tree = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut check = Check::new(&tree);
        for group in &tree.collide {
            let expected = Some((group.class, group.key.as_deref()));
            for (n, file) in group.files.iter().enumerate() {
                group.files[n..]
                    .iter()
                    .for_each(|other| check.pair(file, other, expected));
            }
            if let [one, two] = &group.across[..] {
                one.iter()
                    .for_each(|a| two.iter().for_each(|b| check.pair(a, b, expected)));
            }
        }
        let everything: Vec<&String> = tree.files().collect();
        for group in &tree.alone {
            for file in &group.files {
                everything
                    .iter()
                    .for_each(|other| check.pair(file, other, Some((group.class, None))));
            }
        }
        for group in &tree.apart {
            for (n, file) in group.files.iter().enumerate() {
                group.files[n + 1..]
                    .iter()
                    .for_each(|other| check.pair(file, other, None));
            }
        }
        all_wrong.extend(
            check
                .wrong
                .into_iter()
                .map(|wrong| format!("{name}: {wrong}")),
        );
    }
    assert!(
        all_wrong.is_empty(),
        "{} pairs\n{}",
        all_wrong.len(),
        all_wrong.join("\n")
    );
}

#[test]
fn every_tree_is_recognised() {
    for (name, text) in TREES {
        let tree: Tree = toml::from_str(text).unwrap();
        let listing: Vec<RepoPath> = tree
            .files()
            .map(|file| RepoPath::parse(file).unwrap())
            .collect();
        let found: Vec<String> = detect(&listing).into_iter().map(|used| used.name).collect();
        assert_eq!(found, tree.presets, "{name}");
    }
}

#[test]
fn every_preset_can_be_used() {
    for name in names() {
        let rules = RuleSet::from_toml(&format!("presets = [{name:?}]"))
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        rules.detector("main").unwrap();
        let file = file(name).unwrap();
        assert!(
            file.rules
                .iter()
                .all(|rule| rule.name.starts_with(&format!("{name}."))),
            "{name}"
        );
        if ![COMMON, GENERIC].contains(&name) {
            assert!(!file.detect.is_empty(), "{name} would never be chosen");
        }
    }
    let all: Vec<String> = names().map(|name| format!("{name:?}")).collect();
    RuleSet::from_toml(&format!("presets = [{}]", all.join(",")))
        .unwrap()
        .detector("main")
        .unwrap();
}

/// Nobody may be surprised by a dependency change that was not seen as one.
#[test]
fn dependency_files_of_every_ecosystem_are_known() {
    let detector = RuleSet::from_toml("presets = ['generic']")
        .unwrap()
        .detector("main")
        .unwrap();
    let by_ecosystem: BTreeMap<&str, &[&str]> = [
        (
            "npm",
            &["package.json", "package-lock.json", "npm-shrinkwrap.json"][..],
        ),
        ("yarn", &["yarn.lock", ".yarnrc.yml", ".pnp.cjs"]),
        ("pnpm", &["pnpm-lock.yaml", "pnpm-workspace.yaml"]),
        ("bun", &["bun.lock", "bun.lockb", "bunfig.toml"]),
        ("deno", &["deno.json", "deno.jsonc", "deno.lock"]),
        ("composer", &["composer.json", "composer.lock"]),
        (
            "bundler",
            &[
                "Gemfile",
                "Gemfile.lock",
                "gems.rb",
                "gems.locked",
                "shop.gemspec",
            ],
        ),
        (
            "pip",
            &[
                "requirements.txt",
                "requirements-dev.txt",
                "requirements/prod.in",
                "constraints.txt",
                "setup.py",
                "pylock.toml",
            ],
        ),
        (
            "poetry, pdm, uv, pipenv, conda",
            &[
                "pyproject.toml",
                "poetry.lock",
                "pdm.lock",
                "uv.lock",
                "Pipfile",
                "Pipfile.lock",
                "environment.yml",
                "conda-lock.yml",
                "pixi.lock",
            ],
        ),
        (
            "cargo",
            &["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"],
        ),
        (
            "go",
            &[
                "go.mod",
                "go.sum",
                "go.work",
                "go.work.sum",
                "vendor/modules.txt",
                "Gopkg.lock",
            ],
        ),
        (
            "maven, gradle",
            &[
                "pom.xml",
                "build.gradle",
                "build.gradle.kts",
                "settings.gradle.kts",
                "gradle.lockfile",
                "buildscript-gradle.lockfile",
                "gradle/libs.versions.toml",
                "gradle/verification-metadata.xml",
            ],
        ),
        (
            "sbt, leiningen, clojure",
            &[
                "build.sbt",
                "project/plugins.sbt",
                "project.clj",
                "deps.edn",
            ],
        ),
        (
            "nuget",
            &[
                "App/App.csproj",
                "packages.lock.json",
                "Directory.Packages.props",
                "nuget.config",
                "paket.lock",
                "App.sln",
            ],
        ),
        (
            "swift, cocoapods, carthage",
            &[
                "Package.swift",
                "Package.resolved",
                "Podfile",
                "Podfile.lock",
                "Cartfile.resolved",
                "App.xcodeproj/project.pbxproj",
            ],
        ),
        ("pub", &["pubspec.yaml", "pubspec.lock"]),
        (
            "hex, rebar",
            &["mix.exs", "mix.lock", "rebar.config", "rebar.lock"],
        ),
        (
            "haskell, ocaml",
            &[
                "stack.yaml",
                "stack.yaml.lock",
                "cabal.project.freeze",
                "shop.cabal",
                "shop.opam",
                "dune-project",
            ],
        ),
        (
            "julia, r, perl, lua",
            &[
                "Project.toml",
                "Manifest.toml",
                "renv.lock",
                "DESCRIPTION",
                "cpanfile",
                "cpanfile.snapshot",
                "shop-1.0.rockspec",
            ],
        ),
        (
            "nim, crystal, d, zig, elm",
            &[
                "shop.nimble",
                "shard.yml",
                "shard.lock",
                "dub.json",
                "dub.selections.json",
                "build.zig.zon",
                "elm.json",
            ],
        ),
        (
            "nix, terraform, helm, bazel",
            &[
                "flake.nix",
                "flake.lock",
                ".terraform.lock.hcl",
                "Chart.yaml",
                "Chart.lock",
                "MODULE.bazel",
                "MODULE.bazel.lock",
                "WORKSPACE",
            ],
        ),
        (
            "c and c++",
            &[
                "conanfile.txt",
                "conan.lock",
                "vcpkg.json",
                "CMakeLists.txt",
                "meson.build",
                ".gitmodules",
            ],
        ),
    ]
    .into_iter()
    .collect();
    for (ecosystem, files) in by_ecosystem {
        for file in files {
            for path in [(*file).to_owned(), format!("deep/er/{file}")] {
                let areas = detector.areas(&Footprint::from_candidates([&path]));
                let key = format!("{}:dependency", AreaClass::Deps);
                let found = areas.iter().any(|area| {
                    area.class == ConflictClass::Deps
                        && area.mode == Mode::Exclusive
                        && area.key.to_string().starts_with("deps:dependenc")
                });
                assert!(found, "{ecosystem}: {path} must claim {key}");
            }
        }
    }
}
