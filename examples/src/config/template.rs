//! The file `init` writes: every key commented, the chosen ones filled in.

use toml_edit::Value;

/// The file as it stands: every key of the model, none in force.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The template on its way to a finished file.
#[derive(Debug, Clone)]
pub struct Draft {
    lines: Vec<String>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            lines: TEMPLATE.lines().map(str::to_owned).collect(),
        }
    }
}

impl Draft {
    /// Puts a key in force, with this value.
    ///
    /// # Errors
    /// The sentence that names a key the template does not have.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) -> Result<(), String> {
        let start = self.section(section)?;
        let lines = self.lines.iter_mut().skip(start + 1);
        let mut own = lines.take_while(|l| header(l).is_none());
        let found = own.find(|l| assigns(l, key));
        let line =
            found.ok_or_else(|| format!("the template has no key `{key}` in [{section}]"))?;
        let value: Value = value.into();
        *line = format!("{key} = {}", value.to_string().trim());
        Ok(())
    }

    /// Puts the section of the example agent in force under another name.
    ///
    /// # Errors
    /// The sentence that names a section the template does not have.
    pub fn name_agent(&mut self, name: &str) -> Result<(), String> {
        for section in ["agents.my-agent", "agents.my-agent.limits"] {
            let at = self.section(section)?;
            if let Some(line) = self.lines.get_mut(at) {
                *line = format!("[{}]", section.replace("my-agent", name));
            }
        }
        Ok(())
    }

    /// Returns the finished text.
    #[must_use]
    pub fn finish(self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }

    fn section(&self, name: &str) -> Result<usize, String> {
        let found = self.lines.iter().position(|l| header(l) == Some(name));
        found.ok_or_else(|| format!("the template has no section [{name}]"))
    }
}

/// Returns the name of a section that this line opens, in force or not.
fn header(line: &str) -> Option<&str> {
    line.strip_prefix('#')
        .unwrap_or(line)
        .strip_prefix('[')?
        .strip_suffix(']')
}

fn assigns(line: &str, key: &str) -> bool {
    let rest = line.strip_prefix('#').unwrap_or(line).strip_prefix(key);
    rest.is_some_and(|r| r.starts_with(" = "))
}

#[cfg(test)]
pub(super) fn all_in_force() -> String {
    let is_key = |l: &str| {
        let name = l.split(" = ").next().unwrap_or_default();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if header(rest).is_some() || (rest.contains(" = ") && is_key(rest)) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}
