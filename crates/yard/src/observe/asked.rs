//! What a resource was asked to be, kept in its metadata.
//!
//! A cloud may answer a request with something else than was asked: another availability zone as a
//! fallback, a default, a type that its operator renames later. Such a difference is the cloud's
//! own, and never a reason to replace what holds data.

use stackyard_core::yard::observed::{Fields, Value};

/// Metadata in which a server or volume keeps what its manifest said: the image.
pub(crate) const IMAGE: &str = "stackyard.image";
/// The same for the flavor.
pub(crate) const FLAVOR: &str = "stackyard.flavor";
/// The same for the digest of the user data.
pub(crate) const USER_DATA: &str = "stackyard.user_data";
/// The same for a volume's type.
pub(crate) const TYPE: &str = "stackyard.type";
/// The same for the availability zone.
pub(crate) const ZONE: &str = "stackyard.availability_zone";
/// The same for whether a server has a config drive.
pub(crate) const CONFIG_DRIVE: &str = "stackyard.config_drive";

/// Keys of what was asked when a resource was made; a later change of its metadata keeps them.
pub(crate) const ASKED: [&str; 6] = [IMAGE, FLAVOR, USER_DATA, TYPE, ZONE, CONFIG_DRIVE];

/// What a field is for the comparison with the manifest. It differs only if what is `wanted` now is
/// neither what was `asked` when the resource was made nor what the cloud `has`. A resource without
/// a record is compared with what the cloud has.
pub(super) fn field(
    wanted: Option<&Value>,
    asked: Option<&String>,
    has: Option<Value>,
) -> Option<Value> {
    match (wanted, asked.map(Value::from)) {
        (Some(wanted), Some(asked)) if *wanted == asked => Some(asked),
        (_, asked) => has.or(asked),
    }
}

/// Metadata that keeps what is asked of these fields.
pub(crate) fn record<'a>(
    fields: &'a Fields,
    of: &'a [(&'static str, &'static str)],
) -> impl Iterator<Item = (String, String)> + 'a {
    of.iter()
        .filter_map(|(field, key)| match fields.get(field) {
            Some(Value::Text(text)) => Some(((*key).to_owned(), text.clone())),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_neither_asked_nor_there_differs() {
        let (a, b, c) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
        for (wanted, asked, has, differs) in [
            (&a, Some(&a), Some(&a), false),
            // A fallback, or a rename.
            (&a, Some(&a), Some(&b), false),
            // What the cloud has was written down later, or what was asked was taken for a default.
            (&b, Some(&a), Some(&b), false),
            (&b, None, Some(&b), false),
            (&c, Some(&a), Some(&b), true),
            (&b, Some(&a), Some(&a), true),
            // Made before there were records.
            (&a, None, Some(&b), true),
            // The cloud does not tell.
            (&a, Some(&a), None, false),
            (&b, Some(&a), None, true),
        ] {
            let wanted = Value::from(wanted);
            let found = field(Some(&wanted), asked, has.map(Value::from));
            assert_eq!(
                found.as_ref() != Some(&wanted),
                differs,
                "{wanted} wanted, {asked:?} asked, {has:?} there"
            );
        }
        // A field that the manifest leaves out is what the cloud has.
        assert_eq!(
            field(None, Some(&a), Some(Value::from(&b))),
            Some(Value::from(&b))
        );
    }
}
