//! The reference is written from the types.

use fleetwright::reference;

#[test]
fn the_reference_lists_every_key_of_a_pool() {
    let rows = reference::rows();
    let keys: Vec<&str> = rows
        .iter()
        .filter(|row| row.table == "[pools.<name>]")
        .map(|row| row.key.as_str())
        .collect();
    for key in [
        "desired",
        "candidates",
        "strategy",
        "user_data",
        "user_data_file",
    ] {
        assert!(keys.contains(&key), "`{key}` is missing in {keys:?}");
    }
}

#[test]
fn the_sections_of_the_reference_stay_in_order() {
    let headings: Vec<String> = reference::markdown()
        .lines()
        .filter(|line| line.starts_with("## "))
        // Clouds come and go with features; `local` and `sim` are always there.
        .filter(|line| {
            !line.contains("of kind") || line.ends_with("`local`") || line.ends_with("`sim`")
        })
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!(headings.join("\n"));
}

#[test]
fn a_section_of_the_reference() {
    let markdown = reference::markdown();
    let start = markdown
        .find("## `[pools.<name>]`")
        .expect("there is a section on pools");
    let section = &markdown[start..];
    let end = section[3..]
        .find("\n## ")
        .map_or(section.len(), |at| at + 3);
    insta::assert_snapshot!(&section[..end]);
}
