//! The text that `init` writes: a configuration that works, with everything else as comments.

/// The name of a starting point, for `init --template`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The text of the file.
    pub text: &'static str,
}

/// All starting points; the first is the default.
pub const TEMPLATES: [Template; 2] = [
    Template {
        name: "local",
        about: "Three nodes on this machine.",
        text: include_str!("init/local.toml"),
    },
    Template {
        name: "sim",
        about: "A simulated cloud with two regions and spot machines.",
        text: include_str!("init/sim.toml"),
    },
];

/// The starting point of a name.
pub fn template(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}
