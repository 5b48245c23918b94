//! The tar archive that Docker's builder gets.

use super::recipe::{ImageRecipe, Recipe};
use super::{RECIPE, UNFINISHED};
use std::io;

/// Makes the context of `image`, uncompressed.
///
/// `extra` are files that do not count for the content hash: certificates and pip's settings.
/// `scope` goes into labels of everything that the build leaves (see [`super::tidy`]).
/// The program that the image takes, if it does, is among them. Files are owned by root, dated 0; mode 0755 where they start with `#!`, else 0644.
pub fn context(recipe: &Recipe, image: &ImageRecipe, extra: &[(&str, Vec<u8>)], scope: &str) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in recipe.context(image) {
        if path == "Dockerfile" {
            let text = labelled(&String::from_utf8_lossy(content), scope);
            append(&mut tar, path, text.as_bytes())?;
        } else {
            append(&mut tar, path, content)?;
        }
    }
    for (path, content) in extra {
        append(&mut tar, path, content)?;
    }
    if let Some((path, content)) = recipe.program(image)? {
        append(&mut tar, &path, &content)?;
    }
    tar.into_inner()
}

fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(if content.starts_with(b"#!") { 0o755 } else { 0o644 });
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, content)
}

/// The Dockerfile with a LABEL after each FROM that marks whatever the build leaves behind.
fn labelled(dockerfile: &str, scope: &str) -> String {
    let mut text = String::with_capacity(dockerfile.len() + 128);
    let (mut continued, mut from) = (false, false);
    for line in dockerfile.lines() {
        text.push_str(line);
        text.push('\n');
        let bare = line.trim();
        // comments and empty lines neither start, continue nor end an instruction
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if !continued {
            from = bare.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("from"));
        }
        continued = bare.ends_with('\\');
        if from && !continued {
            text.push_str(&format!("LABEL {RECIPE}=\"{scope}\" {UNFINISHED}=\"{scope}\"\n"));
            from = false;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_labelled() {
        let text =
            labelled("# a\nARG FROM\nFROM ${FROM} AS x\nRUN a \\\n  # why\n && from b\nfrom \\\n y\nCOPY a b\n", "s");
        let label = "LABEL dev.stackyard.recipe=\"s\" dev.stackyard.unfinished=\"s\"\n";
        assert_eq!(
            text,
            format!(
                "# a\nARG FROM\nFROM ${{FROM}} AS x\n{label}RUN a \\\n  # why\n && from b\nfrom \\\n y\n{label}COPY a b\n"
            )
        );
    }
}
