//! Cutting out of a listing's page what nobody here reads, before it is decoded.
//!
//! Half of what EC2 says of an instance are its network interfaces, its disks and options that
//! [`node`](crate::node) does not look at, and the SDK decodes all of it into structs. Skipping it in
//! the text costs a hundredth of that.

use memchr::memmem::{Finder, find};

/// Elements of an instance that are not read from a listing. None of them stands inside an element
/// that is read, or inside another one of the same name.
///
/// Whoever reads one of them in `node.rs` takes it from this list.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html>
const UNREAD: [&str; 10] = [
    "networkInterfaceSet",
    "blockDeviceMapping",
    "metadataOptions",
    "privateDnsNameOptions",
    "maintenanceOptions",
    "capacityReservationSpecification",
    "hibernationOptions",
    "enclaveOptions",
    "cpuOptions",
    "monitoring",
];

/// The page without what is not read; `None` if there is nothing to cut, or if it is not as plain as
/// EC2 writes it: then the decoder shall judge the whole.
pub(crate) fn trim(page: &[u8]) -> Option<Vec<u8>> {
    // In a comment or a verbatim section a tag is no tag.
    if find(page, b"<!").is_some() {
        return None;
    }
    let mut cuts = Vec::new();
    for name in UNREAD {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let close = Finder::new(&close);
        let mut from = 0;
        let open = Finder::new(&open);
        while let Some(at) = open.find(&page[from..]) {
            let start = from + at;
            // One that does not end is the decoder's to complain about.
            let end = start + close.find(&page[start..])? + close.needle().len();
            cuts.push((start, end));
            from = end;
        }
    }
    if cuts.is_empty() {
        return None;
    }
    cuts.sort_unstable();
    let mut kept = Vec::with_capacity(page.len());
    let mut done = 0;
    for (start, end) in cuts {
        // One that lies inside another is gone already.
        if start >= done {
            kept.extend_from_slice(&page[done..start]);
            done = end;
        }
    }
    kept.extend_from_slice(&page[done..]);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(page: &str) -> Option<String> {
        trim(page.as_bytes()).map(|kept| String::from_utf8(kept).unwrap())
    }

    #[test]
    fn what_is_not_read_is_cut_out_of_every_instance() {
        let instance = |id: &str| {
            format!(
                "<item><instanceId>{id}</instanceId><monitoring><state>on</state></monitoring>\
                 <networkInterfaceSet><item><monitoring>x</monitoring></item></networkInterfaceSet>\
                 <tagSet><item><key>&lt;monitoring&gt;</key></item></tagSet><cpuOptions/></item>"
            )
        };
        let kept = |id: &str| {
            format!(
                "<item><instanceId>{id}</instanceId>\
                 <tagSet><item><key>&lt;monitoring&gt;</key></item></tagSet><cpuOptions/></item>"
            )
        };
        let page = format!(
            "<r>{}{}<nextToken>t</nextToken></r>",
            instance("a"),
            instance("b")
        );
        let wanted = format!("<r>{}{}<nextToken>t</nextToken></r>", kept("a"), kept("b"));
        assert_eq!(trimmed(&page), Some(wanted));
    }

    #[test]
    fn what_is_odd_is_left_to_the_decoder() {
        for odd in [
            "<r><monitoring><state>on</state>",
            "<r><!-- <monitoring> --><monitoring></monitoring></r>",
            "<r><![CDATA[<monitoring></monitoring>]]></r>",
            "<r><instanceId>a</instanceId></r>",
            "not even XML",
            "",
        ] {
            assert_eq!(trimmed(odd), None, "{odd}");
        }
    }
}
