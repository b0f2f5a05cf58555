//! Addresses that are written down: in the configuration, in files.

use std::path::Path;

use fleetwright_core::{Error, Kind, Result, TargetAddress, TargetGroup, TargetOrigin};

/// The addresses of a `[targets.<name>]`, in their order.
pub(super) async fn of_group(
    name: &str,
    group: &TargetGroup,
) -> Result<Vec<(TargetAddress, TargetOrigin)>> {
    let mut all = Vec::new();
    for host in &group.hosts {
        let origin = TargetOrigin::Configured {
            group: name.to_owned(),
        };
        all.push((host.parse()?, origin));
    }
    if let Some(path) = &group.file {
        all.extend(of_file(path).await?);
    }
    Ok(all)
}

/// The addresses of a file, one a line.
pub(super) async fn of_file(path: &str) -> Result<Vec<(TargetAddress, TargetOrigin)>> {
    let text = tokio::fs::read_to_string(Path::new(path))
        .await
        .map_err(|error| {
            Error::new(
                Kind::Config,
                format!("the addresses in `{path}` cannot be read"),
            )
            .with_source(error)
        })?;
    lines(path, &text)
}

fn lines(path: &str, text: &str) -> Result<Vec<(TargetAddress, TargetOrigin)>> {
    let mut all = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let address = text.split('#').next().unwrap_or_default().trim();
        if address.is_empty() {
            continue;
        }
        let address = address.parse().map_err(|error: Error| {
            let hint = error.hint().map(str::to_owned);
            let error = Error::new(Kind::Config, format!("`{path}` line {line}: {error}"));
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })?;
        let origin = TargetOrigin::File {
            path: path.to_owned(),
            line,
        };
        all.push((address, origin));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_count_as_lines() {
        let found = lines(
            "hosts",
            "# all of them\n\nweb1 # the first\nadmin@[::1]:2222\n",
        )
        .unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|(address, origin)| format!("{address} {origin}"))
            .collect();
        assert_eq!(shown, ["root@web1:22 hosts:3", "admin@[::1]:2222 hosts:4"]);
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let error = lines("hosts", "web1\nweb 2\n").unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with("`hosts` line 2: "), "{error}");
    }
}
