//! What the images that a cloud has are to a push. Pure.

use super::{DIGEST, MARK, NAME, PROPERTY};
use crate::seed;
use serde_json::Value;
use stackyard_openstack::Image;
use std::collections::BTreeMap;

/// A cloud's images with one name, sorted.
#[derive(Debug, Default)]
pub struct SortedDisk {
    /// The image with the content that is wanted.
    pub current: Option<Image>,
    /// Ids of ours whose content never came.
    pub unfinished: Vec<String>,
    /// Ours with another content, and twins of the current one.
    pub former: Vec<Image>,
    /// Ids of others that have the name.
    pub strangers: Vec<String>,
}

impl SortedDisk {
    /// Sorts `images` (each may be there twice) for a push of `digest` as `name` into `project`.
    pub fn new(images: Vec<Image>, name: &str, digest: &str, project: &str) -> Self {
        let by_id: BTreeMap<String, Image> = images.into_iter().map(|i| (i.id.clone(), i)).collect();
        let mut sorted = Self::default();
        for image in by_id.into_values() {
            let named = image.name.as_deref() == Some(name);
            let fits = image.status == "active" && image.property(DIGEST) == Some(digest);
            let ours = is_marked(&image, name) && is_owned(&image, project);
            match image.status.as_str() {
                // on its way out
                "deleted" | "pending_delete" => {}
                "queued" | "saving" | "uploading" | "importing" | "killed" if ours => sorted.unfinished.push(image.id),
                _ if fits && is_marked(&image, name) && (ours || named) => sorted.fitting(image, name, project),
                _ if ours => sorted.former.push(image),
                _ if named => sorted.strangers.push(image.id),
                _ => {}
            }
        }
        sorted
    }

    /// Of several with the right content, one that is ours goes before others', and then the one
    /// that has the name already.
    fn fitting(&mut self, image: Image, name: &str, project: &str) {
        let rank = |i: &Image| (is_owned(i, project), i.name.as_deref() == Some(name));
        let twin = match &self.current {
            Some(current) if rank(current) >= rank(&image) => Some(image),
            _ => self.current.replace(image),
        };
        self.former.extend(twin.filter(|i| is_owned(i, project)));
    }
}

/// Whether it was pushed as `name` (or seeded by a former version, which had but one mark).
fn is_marked(image: &Image, name: &str) -> bool {
    match image.property(PROPERTY) {
        Some(MARK) => image.property(NAME) == Some(name),
        Some(seed::MARK) => image.name.as_deref() == Some(name),
        _ => false,
    }
}

/// Whether this project may change it.
pub fn is_owned(image: &Image, project: &str) -> bool {
    image.properties.get("owner").and_then(Value::as_str).is_none_or(|owner| owner == project)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `ID NAME STATUS DIGEST OWNER`, marked as pushed under the name `host`.
    fn image(text: &str) -> Image {
        let [id, name, status, digest, owner] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
        serde_json::from_value(json!({
            "id": id, "name": name, "status": status, "owner": owner,
            "stackyard": MARK, "stackyard_name": "host", "stackyard_digest": digest,
        }))
        .unwrap()
    }

    fn sorted(images: Vec<Image>) -> String {
        let s = SortedDisk::new(images, "host", "new", "us");
        let former: Vec<_> = s.former.iter().map(|i| i.id.as_str()).collect();
        format!(
            "{} unfinished {:?} former {former:?} strangers {:?}",
            s.current.map_or("none".to_owned(), |i| i.id),
            s.unfinished,
            s.strangers
        )
    }

    fn of(texts: &[&str]) -> String {
        sorted(texts.iter().map(|t| image(t)).collect())
    }

    #[test]
    fn what_there_is_decides_what_is_done() {
        assert_eq!(of(&[]), "none unfinished [] former [] strangers []");
        // listed by name and by property
        assert_eq!(of(&["a host active new us", "a host active new us"]), "a unfinished [] former [] strangers []");
        assert_eq!(of(&["a host active old us"]), r#"none unfinished [] former ["a"] strangers []"#);
        // killed before the rename, and while uploading
        assert_eq!(
            of(&[
                "a host active old us",
                "b host-up active new us",
                "c host-up saving new us",
                "d host-up queued x us"
            ]),
            r#"b unfinished ["c", "d"] former ["a"] strangers []"#
        );
        // killed between the rename and the removal of the former
        assert_eq!(
            of(&["a host active old us", "b host active new us", "c host-1 active older us"]),
            r#"b unfinished [] former ["a", "c"] strangers []"#
        );
        // twins: the one with the name stays
        assert_eq!(
            of(&["a host-up active new us", "b host active new us", "c x active new us"]),
            r#"b unfinished [] former ["a", "c"] strangers []"#
        );
        assert_eq!(
            of(&["a host pending_delete new us", "b host deactivated new us"]),
            r#"none unfinished [] former ["b"] strangers []"#
        );
    }

    #[test]
    fn others_images_are_never_touched() {
        // an administrator's public image with the same content will do
        assert_eq!(of(&["a host active new them"]), "a unfinished [] former [] strangers []");
        assert_eq!(of(&["a host active new them", "b host active new us"]), "b unfinished [] former [] strangers []");
        // theirs in any other state: told if it has the name, else of no concern
        assert_eq!(
            of(&[
                "a host active old them",
                "b host saving new them",
                "c host-up queued new them",
                "d x active new them"
            ]),
            r#"none unfinished [] former [] strangers ["a", "b"]"#
        );
        // without the mark, or pushed under another name and renamed by its owner
        let mut unmarked = image("a host active new us");
        unmarked.properties.remove(PROPERTY);
        let mut other = image("b host active new us");
        other.properties.insert(NAME.to_owned(), json!("else"));
        assert_eq!(sorted(vec![unmarked, other]), r#"none unfinished [] former [] strangers ["a", "b"]"#);
    }

    #[test]
    fn what_a_former_version_seeded_is_ours() {
        let mut seeded = image("a host active old us");
        seeded.properties.insert(PROPERTY.to_owned(), json!(seed::MARK));
        seeded.properties.remove(NAME);
        assert_eq!(sorted(vec![seeded]), r#"none unfinished [] former ["a"] strangers []"#);
    }
}
