//! Where catalogs are kept: a file for each provider, readable by its owner only.
//!
//! ```text
//!  magic 8 │ version 4 │ checksum 4 │ length 8 │ body
//!                                                └ length 4 │ JSON: who, when, types, places
//!                                                  rows 4 │ starts │ places │ sales │ prices
//!                                                  times 4 │ (row, microseconds) …
//! ```
//! All numbers are little-endian. A file is written beside its place and then moved there, so a
//! reader sees the old one or the new one. The checksum is that of the body; what does not fit is an
//! error, and nothing of it is used.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fleetwright_core::{Error, InstanceType, Kind, ProviderInfo, Result};
use serde::{Deserialize, Serialize};

use super::part::{CatalogPart, PartInfo};

const MAGIC: &[u8; 8] = b"fwcatlg\n";
/// The version of the format that this program writes and reads.
const VERSION: u32 = 1;
const HEADER: usize = 24;
/// More than any catalog needs: a file that is longer is not read.
const LONGEST: u64 = 1 << 30;

/// The directory that catalogs are kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    directory: PathBuf,
}

/// The part of a file that is JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    info: PartInfo,
    types: Vec<InstanceType>,
    places: Vec<(String, Option<String>)>,
}

// === impl Shelf ===

impl Shelf {
    /// Catalogs in a directory, which is made when it is first written to.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The file of a provider.
    pub fn path(&self, provider: &str) -> PathBuf {
        self.directory.join(format!("{provider}.catalog"))
    }

    /// Reads the catalog of a provider. `None`: there is none, or one of another account or other
    /// regions.
    ///
    /// # Errors
    /// `Config` if the file cannot be read, is damaged, or was written by a newer version.
    pub fn read(&self, info: &ProviderInfo) -> Result<Option<CatalogPart>> {
        let path = self.path(&info.name);
        let bytes = match read_all(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, "cannot be read").with_source(error)),
        };
        let part = decode(&bytes).map_err(|why| unusable(&path, &why))?;
        Ok(Some(part).filter(|part| part.info.is_of(info)))
    }

    /// Writes the catalog of a provider in place of the one that is there.
    ///
    /// # Errors
    /// `Config` if the directory or the file cannot be written.
    pub fn write(&self, part: &CatalogPart) -> Result<()> {
        let path = self.path(&part.info.provider);
        self.replace(&path, &encode(part)?)
            .map_err(|error| unusable(&path, "cannot be written").with_source(error))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        // Others may write at the same time.
        let beside = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            // The reason for the failure matters more than what is left of it.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

fn read_all(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > LONGEST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is too long"));
    }
    fs::read(path)
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("the stored catalog `{}` {why}", path.display()),
    )
    .with_context("path", path.display().to_string())
    .with_hint("`fleetwright offers --refresh` asks the providers and writes it anew")
}

// === the format ===

fn encode(part: &CatalogPart) -> Result<Vec<u8>> {
    let head = serde_json::to_vec(&Head {
        info: part.info.clone(),
        types: part.types.clone(),
        places: part.places.clone(),
    })
    .map_err(|e| Error::new(Kind::Unexpected, "the catalog cannot be written").with_source(e))?;
    let rows = part.place.len();
    let mut body = Vec::with_capacity(head.len() + part.starts.len() * 4 + rows * 13 + 64);
    let mut put = |bytes: &[u8]| body.extend_from_slice(bytes);
    put(&length(head.len())?.to_le_bytes());
    put(&head);
    put(&length(rows)?.to_le_bytes());
    part.starts.iter().for_each(|at| put(&at.to_le_bytes()));
    part.place.iter().for_each(|at| put(&at.to_le_bytes()));
    put(&part.sale);
    part.price
        .iter()
        .for_each(|price| put(&price.to_le_bytes()));
    put(&length(part.until.len())?.to_le_bytes());
    for (row, until) in &part.until {
        put(&row.to_le_bytes());
        put(&until.to_le_bytes());
    }
    let mut file = Vec::with_capacity(HEADER + body.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    file.extend_from_slice(&u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes());
    file.extend_from_slice(&body);
    Ok(file)
}

fn length(of: usize) -> Result<u32> {
    u32::try_from(of)
        .map_err(|e| Error::new(Kind::Unexpected, "the catalog is too long").with_source(e))
}

/// What is wrong with a file, to follow its name in a sentence.
type Flaw = String;

fn decode(file: &[u8]) -> Result<CatalogPart, Flaw> {
    let damaged = |what: &str| format!("is damaged: {what}");
    let mut reader = Reader { rest: file };
    if reader.take(MAGIC.len()) != Some(MAGIC.as_slice()) {
        return Err("is no catalog".to_owned());
    }
    let version = reader.u32().ok_or_else(|| damaged("it ends early"))?;
    if version > VERSION {
        return Err(format!(
            "was written by a newer version of this program: format {version}, known is {VERSION}"
        ));
    }
    if version < VERSION {
        return Err(format!("has an unknown format: {version}"));
    }
    let checksum = reader.u32();
    let (Some(checksum), Some(length)) = (checksum, reader.u64()) else {
        return Err(damaged("it ends early"));
    };
    let body = reader.rest;
    if u64::try_from(body.len()) != Ok(length) {
        return Err(damaged("its length is wrong"));
    }
    if crc32fast::hash(body) != checksum {
        return Err(damaged("its checksum is wrong"));
    }
    let part = read_body(body).ok_or_else(|| damaged("its contents do not fit its length"))?;
    let part =
        part.map_err(|error| damaged(&format!("its description cannot be read: {error}")))?;
    match part.flaw() {
        Some(flaw) => Err(damaged(&format!("{flaw} cannot be right"))),
        None => Ok(part),
    }
}

fn read_body(body: &[u8]) -> Option<Result<CatalogPart, serde_json::Error>> {
    let mut reader = Reader { rest: body };
    let head = reader.counted()?;
    let head: Head = match serde_json::from_slice(reader.take(head)?) {
        Ok(head) => head,
        Err(error) => return Some(Err(error)),
    };
    let rows = reader.counted()?;
    let part = CatalogPart {
        starts: reader.u32s(head.types.len().checked_add(1)?)?,
        place: reader.u32s(rows)?,
        sale: reader.take(rows)?.to_vec(),
        price: reader.u64s(rows)?,
        until: {
            let times = reader.counted()?;
            let pairs = reader.take(times.checked_mul(12)?)?.chunks_exact(12);
            pairs
                .map(|pair| {
                    let (row, until) = pair.split_first_chunk::<4>()?;
                    let until = until.first_chunk::<8>()?;
                    Some((u32::from_le_bytes(*row), i64::from_le_bytes(*until)))
                })
                .collect::<Option<_>>()?
        },
        info: head.info,
        types: head.types,
        places: head.places,
    };
    reader.rest.is_empty().then_some(Ok(part))
}

/// Reads numbers from bytes, and never beyond their end.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*taken))
    }

    fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*taken))
    }

    /// A number of things that follow.
    fn counted(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }

    fn u32s(&mut self, count: usize) -> Option<Vec<u32>> {
        let bytes = self.take(count.checked_mul(4)?)?;
        let (numbers, _) = bytes.as_chunks::<4>();
        Some(numbers.iter().map(|one| u32::from_le_bytes(*one)).collect())
    }

    fn u64s(&mut self, count: usize) -> Option<Vec<u64>> {
        let bytes = self.take(count.checked_mul(8)?)?;
        let (numbers, _) = bytes.as_chunks::<8>();
        Some(numbers.iter().map(|one| u64::from_le_bytes(*one)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::offers::sample;

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().join("offers"));
        (directory, shelf)
    }

    #[test]
    fn what_is_written_is_read_again_and_nobody_else_can_read_it() {
        let (_directory, shelf) = shelf();
        let part = sample::part("aws", 7, 40, 5);
        assert_eq!(shelf.read(&sample::info("aws")).unwrap(), None);
        shelf.write(&part).unwrap();
        shelf.write(&part).unwrap();
        assert_eq!(
            shelf.read(&sample::info("aws")).unwrap(),
            Some(part.clone())
        );
        let path = shelf.path("aws");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "a half-written file is left");
        let view = part.view();
        assert_eq!(view.offerings.len(), part.len());
        let again = CatalogPart::new(part.info.clone(), view.types, &view.offerings);
        assert_eq!(again, part);
    }

    #[test]
    fn another_account_or_other_regions_have_another_catalog() {
        let (_directory, shelf) = shelf();
        shelf.write(&sample::part("aws", 1, 3, 2)).unwrap();
        let mut other = sample::info("aws");
        other.regions.push("moon-1".into());
        assert_eq!(shelf.read(&other).unwrap(), None);
        let mut other = sample::info("aws");
        other.account = "999".into();
        assert_eq!(shelf.read(&other).unwrap(), None);
    }

    #[test]
    fn a_damaged_file_is_an_error_with_a_way_out() {
        let whole = encode(&sample::part("aws", 3, 10, 3)).unwrap();
        let told = |bytes: &[u8]| decode(bytes).map(|part| part.len());
        assert!(told(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(told(&whole[..length]).is_err(), "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(told(&bytes).is_err(), "byte {at}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(told(&longer), Err("is damaged: its length is wrong".into()));
        let mut newer = whole.clone();
        newer[8] = 2;
        let told = told(&newer).unwrap_err();
        assert!(told.contains("newer version"), "{told}");

        let (_directory, shelf) = shelf();
        shelf.write(&sample::part("aws", 3, 10, 3)).unwrap();
        fs::write(shelf.path("aws"), &whole[..whole.len() / 2]).unwrap();
        let error = shelf.read(&sample::info("aws")).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("aws.catalog"), "{error}");
        assert!(error.hint().unwrap().contains("--refresh"));
    }

    #[test]
    fn numbers_that_cannot_be_right_are_refused_even_with_a_good_checksum() {
        let good = sample::part("aws", 3, 10, 3);
        let mut parts = vec![good.clone(); 5];
        parts[0].place[0] = u32::MAX;
        parts[1].starts[1] = u32::MAX;
        parts[2].sale[0] = 0xff;
        parts[3].until.push((u32::MAX, 0));
        parts[4].types.pop();
        for (at, part) in parts.iter().enumerate() {
            let bytes = encode(part).unwrap();
            assert!(decode(&bytes).is_err(), "case {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = MAGIC.to_vec();
            file.extend_from_slice(&VERSION.to_le_bytes());
            file.extend_from_slice(&crc32fast::hash(&noise).to_le_bytes());
            file.extend_from_slice(&u64::try_from(noise.len()).unwrap().to_le_bytes());
            file.extend_from_slice(&noise);
            prop_assert!(decode(&file).is_err());
            prop_assert!(decode(&noise).is_err());
        }
    }
}
