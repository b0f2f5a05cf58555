//! What GPUs are called: one name for each model, whatever a provider or a user writes.
//!
//! ```text
//!  "NVIDIA H100 80GB HBM3"   "gpu_8x_h100_sxm5"   "h100-8x"   "nvidia_h100"
//!            └───────────────────┴───── H100 ───────┴─────────────┘
//! ```
//! A text is cut into words. Words that say nothing about the model are dropped, a number of GPUs, an
//! amount of memory and a form are taken out, and the longest run of the others that is in the table
//! is the model. What is in no table keeps its own words.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::{Count, Error, InstanceType, Kind, Result};

/// Models: the name, other ways to write it (without spaces), and the memory of one in GiB, as it is
/// advertised. The name itself without spaces is always understood.
const MODELS: &[(&str, &[&str], &[u32])] = &[
    ("A2", &[], &[16]),
    ("A10", &[], &[24]),
    ("A10G", &[], &[24]),
    ("A16", &[], &[16]),
    ("A30", &[], &[24]),
    ("A40", &[], &[48]),
    ("A100", &[], &[40, 80]),
    ("A800", &[], &[40, 80]),
    ("A2000", &["rtxa2000"], &[6, 12]),
    ("A4000", &["rtxa4000"], &[16]),
    ("A4500", &["rtxa4500"], &[20]),
    ("A5000", &["rtxa5000"], &[24]),
    ("A6000", &["rtxa6000"], &[48]),
    ("B200", &[], &[180, 192]),
    ("B300", &[], &[288]),
    ("GAUDI", &["gaudihl205", "hl205"], &[32]),
    ("GAUDI 2", &["gaudihl225", "hl225"], &[96]),
    ("GAUDI 3", &[], &[128]),
    ("GB200", &[], &[186, 192]),
    ("GB300", &[], &[288]),
    ("GH200", &[], &[96, 144]),
    ("H20", &[], &[96, 141]),
    ("H100", &[], &[80, 94, 96]),
    ("H200", &[], &[141]),
    ("H800", &[], &[80]),
    ("K80", &[], &[12]),
    ("L4", &[], &[24]),
    ("L20", &[], &[48]),
    ("L40", &[], &[48]),
    ("L40S", &[], &[48]),
    ("M60", &[], &[8]),
    ("MI100", &[], &[32]),
    ("MI210", &[], &[64]),
    ("MI250", &[], &[128]),
    ("MI250X", &[], &[128]),
    ("MI300X", &["mi300"], &[192]),
    ("MI325X", &["mi325"], &[256]),
    ("MI350X", &["mi350"], &[288]),
    ("MI355X", &["mi355"], &[288]),
    ("P4", &[], &[8]),
    ("P40", &[], &[24]),
    ("P100", &[], &[12, 16]),
    ("RTX 2000 Ada", &["2000ada"], &[16]),
    ("RTX 4000 Ada", &["4000ada", "rtx4000sffada"], &[20]),
    ("RTX 4500 Ada", &["4500ada"], &[24]),
    ("RTX 5000 Ada", &["5000ada"], &[32]),
    ("RTX 6000 Ada", &["6000ada"], &[48]),
    ("RTX PRO 4500", &["pro4500"], &[32]),
    ("RTX PRO 6000", &["pro6000"], &[96]),
    // The ones of 2018, with a Quadro's name.
    ("RTX 4000", &["quadrortx4000"], &[8]),
    ("RTX 5000", &["quadrortx5000"], &[16]),
    ("RTX 6000", &["quadrortx6000"], &[24]),
    ("RTX 8000", &["quadrortx8000"], &[48]),
    ("RTX 2080 Ti", &["2080ti"], &[11]),
    ("RTX 3060", &["3060"], &[12]),
    ("RTX 3070", &["3070"], &[8]),
    ("RTX 3080", &["3080"], &[10, 12]),
    ("RTX 3090", &["3090"], &[24]),
    ("RTX 3090 Ti", &["3090ti"], &[24]),
    ("RTX 4070", &["4070"], &[12]),
    ("RTX 4080", &["4080"], &[16]),
    ("RTX 4090", &["4090"], &[24]),
    ("RTX 5080", &["5080"], &[16]),
    ("RTX 5090", &["5090"], &[32]),
    ("T4", &[], &[16]),
    ("T4G", &[], &[16]),
    ("V100", &[], &[16, 32]),
    ("V520", &["prov520"], &[8]),
];

/// Words that say nothing about the model.
const NOISE: &[&str] = &[
    "nvidia",
    "amd",
    "intel",
    "habana",
    "tesla",
    "geforce",
    "instinct",
    "radeon",
    "gpu",
    "gpus",
    "graphics",
    "accelerator",
    "tensor",
    "core",
    "generation",
    "gen",
    "edition",
    "server",
    "workstation",
    "blackwell",
    "lovelace",
    "memory",
    "hbm2",
    "hbm2e",
    "hbm3",
    "hbm3e",
    "gddr5",
    "gddr6",
    "gddr6x",
    "gddr7",
];

/// Most GPUs of one machine that a bare number can stand for.
const MOST_BARE: u64 = 16;

/// How a GPU is built in: it decides how fast several of them talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GpuForm {
    /// A module on a board with NVLink: SXM of any generation.
    Sxm,
    /// A card.
    Pcie,
    /// A card with a bridge to its neighbor.
    Nvl,
}

impl GpuForm {
    /// The name used in messages and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sxm => "SXM",
            Self::Pcie => "PCIe",
            Self::Nvl => "NVL",
        }
    }

    fn of(word: &str) -> Option<Self> {
        match word {
            "sxm" | "sxm2" | "sxm3" | "sxm4" | "sxm5" | "sxm6" => Some(Self::Sxm),
            "pcie" | "pci" => Some(Self::Pcie),
            "nvl" => Some(Self::Nvl),
            _ => None,
        }
    }
}

/// A model of GPU, by the one name that it has here.
///
/// ```
/// use fleetwright_core::GpuModel;
///
/// let told = GpuModel::of("NVIDIA H100 80GB HBM3").unwrap();
/// assert_eq!(told.to_string(), "H100 80GB");
/// assert_eq!(told, GpuModel::of("nvidia-h100-80gb").unwrap());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GpuModel {
    /// The name, e.g. `H100`, `RTX 6000 Ada`. Of a model that is in no table: the words that were
    /// written, in upper case.
    pub name: Cow<'static, str>,
    /// Memory of one in GiB, as it is advertised; absent if it was not told and the model comes with
    /// several.
    pub memory_gib: Option<u32>,
    /// How it is built in; absent if it was not told.
    pub form: Option<GpuForm>,
    /// Whether the model is in the table.
    pub is_known: bool,
}

/// GPUs that are asked for: a model, and how many of it.
///
/// Reads `H100`, `H100:8`, `H100:4+`, `A100-80GB:2..4`, `8x H100`, `NVIDIA L40S`. Without a number:
/// at least one.
///
/// ```
/// use fleetwright_core::GpuWish;
///
/// let wish: GpuWish = "h100-8x".parse().unwrap();
/// assert_eq!(wish.to_string(), "H100:8");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuWish {
    /// Which. Memory and form are only asked for if they are there.
    pub model: GpuModel,
    /// How many of it a machine has.
    pub count: Count,
}

/// A text, taken apart.
struct Parsed {
    /// Position in [`MODELS`].
    known: Option<usize>,
    count: Option<u64>,
    memory_gib: Option<u32>,
    form: Option<GpuForm>,
    /// Words that nothing was made of.
    rest: Vec<String>,
}

// === impl GpuModel ===

impl GpuModel {
    /// The model that a text speaks of; `None` if it names none.
    pub fn of(words: &str) -> Option<Self> {
        let parsed = parse(words);
        parsed.model(&parsed.rest.join(" "))
    }

    /// The model of a machine's GPUs; `None` if it has none. Memory that the type tells is rounded to
    /// what is advertised: a driver shows a little less.
    pub fn of_type(instance_type: &InstanceType) -> Option<Self> {
        if instance_type.gpus == 0 {
            return None;
        }
        let mut model = Self::of(instance_type.gpu_model.as_deref()?)?;
        if let Some(mib) = instance_type.gpu_memory_mib {
            model.memory_gib = Some(model.advertised(mib));
        }
        if model.memory_gib.is_none()
            && let Some((_, _, [only])) = model.row()
        {
            model.memory_gib = Some(*only);
        }
        Some(model)
    }

    /// Why GPUs of another model are not what is asked for with this one; `None` if they are.
    pub fn unmet_by(&self, other: &Self) -> Option<String> {
        let is_same = if self.is_known {
            self.name == other.name
        } else {
            // Of a model in no table only its words are known.
            other.name.to_uppercase().contains(&*self.name)
        };
        if !is_same {
            return Some(format!("GPU is {other}, {self} wanted"));
        }
        if let Some(want) = self.memory_gib
            && other.memory_gib != Some(want)
        {
            return Some(match other.memory_gib {
                Some(has) => format!("GPU has {has} GiB, {want} wanted"),
                None => format!("its GPU's memory is unknown, {want} GiB wanted"),
            });
        }
        if let Some(want) = self.form
            && other.form != Some(want)
        {
            return Some(match other.form {
                Some(has) => format!("GPU is {}, {} wanted", has.as_str(), want.as_str()),
                None => format!(
                    "the provider does not say that its GPU is {}",
                    want.as_str()
                ),
            });
        }
        None
    }

    /// The names of all models in the table.
    pub fn known_names() -> impl Iterator<Item = &'static str> {
        MODELS.iter().map(|(name, _, _)| *name)
    }

    fn row(&self) -> Option<&'static (&'static str, &'static [&'static str], &'static [u32])> {
        MODELS.iter().find(|(name, _, _)| *name == self.name)
    }

    /// The advertised memory that is nearest to what was measured, if it is near at all.
    fn advertised(&self, mib: u64) -> u32 {
        let told = u32::try_from(mib.div_ceil(1024)).unwrap_or(u32::MAX);
        let Some((_, _, sizes)) = self.row() else {
            return told;
        };
        sizes
            .iter()
            .copied()
            .filter(|size| u64::from(size.abs_diff(told)) * 8 <= u64::from(*size))
            .min_by_key(|size| size.abs_diff(told))
            .unwrap_or(told)
    }
}

impl fmt::Display for GpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self
            .memory_gib
            .map_or_else(String::new, |memory| format!(" {memory}GB"));
        let form = self
            .form
            .map_or_else(String::new, |form| format!(" {}", form.as_str()));
        f.pad(&format!("{}{memory}{form}", self.name))
    }
}

// === impl GpuWish ===

impl GpuWish {
    /// The first thing that a type lacks, in words; `None` if it has what is asked for.
    pub fn unmet_by(&self, instance_type: &InstanceType) -> Option<String> {
        let Some(model) = GpuModel::of_type(instance_type) else {
            return Some(if instance_type.gpus == 0 {
                format!("no GPU, {self} wanted")
            } else {
                format!("its GPU's model is unknown, {} wanted", self.model)
            });
        };
        self.model.unmet_by(&model).or_else(|| {
            (!self.count.holds(instance_type.gpus.into()))
                .then(|| format!("{} GPUs, {} wanted", instance_type.gpus, self.count))
        })
    }
}

impl FromStr for GpuWish {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |message: String| {
            Error::new(Kind::Invalid, message).with_hint(
                "write a model and, if it matters, a number: `H100`, `H100:8`, `A100-80GB:2+`",
            )
        };
        let (words, count) = match text.rsplit_once(':') {
            Some((words, number)) => {
                let count = number
                    .trim()
                    .trim_end_matches(['x', 'X'])
                    .parse::<Count>()
                    .map_err(|_| bad(format!("`{number}` in `{text}` is not a number of GPUs")))?;
                (words, Some(count))
            }
            None => (text, None),
        };
        let parsed = parse(words);
        let unknown = parsed.rest.join(" ");
        let Some(model) = parsed.model(&unknown) else {
            return Err(bad(format!("`{text}` names no model of GPU")));
        };
        if model.is_known && !parsed.rest.is_empty() {
            return Err(bad(format!(
                "`{text}` is not understood: what is `{unknown}` beside {}?",
                model.name
            )));
        }
        let count = match (count, parsed.count) {
            (Some(_), Some(_)) => {
                return Err(bad(format!("`{text}` says twice how many GPUs")));
            }
            (Some(count), None) => count,
            (None, Some(number)) => Count::exactly(number),
            (None, None) => Count::at_least(1),
        };
        if count.most == Some(0) {
            return Err(bad(format!("`{text}` asks for no GPU")));
        }
        Ok(Self { model, count })
    }
}

impl fmt::Display for GpuWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.count == Count::at_least(1) {
            self.model.to_string()
        } else {
            format!("{}:{}", self.model, self.count)
        };
        f.pad(&text)
    }
}

// === taking texts apart ===

impl Parsed {
    /// The model, or one that is called like the words that were not understood.
    fn model(&self, unknown: &str) -> Option<GpuModel> {
        let (name, is_known) = match self.known.and_then(|at| MODELS.get(at)) {
            Some((name, _, _)) => (Cow::Borrowed(*name), true),
            None if unknown.is_empty() => return None,
            None => (Cow::Owned(unknown.to_uppercase()), false),
        };
        Some(GpuModel {
            name,
            memory_gib: self.memory_gib,
            form: self.form,
            is_known,
        })
    }
}

fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed {
        known: None,
        count: None,
        memory_gib: None,
        form: None,
        rest: Vec::new(),
    };
    let lower = text.to_lowercase();
    let mut words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !NOISE.contains(word))
        .collect();
    words.reverse();
    while let Some(word) = words.pop() {
        if let Some(count) = count(word) {
            parsed.count.get_or_insert(count);
        } else if let Some(memory) = memory(word) {
            parsed.memory_gib.get_or_insert(memory);
        } else if is_number(word) && words.last().is_some_and(|next| is_unit(next)) {
            words.pop();
            if let Ok(memory) = word.parse() {
                parsed.memory_gib.get_or_insert(memory);
            }
        } else if let Some(form) = GpuForm::of(word) {
            parsed.form.get_or_insert(form);
        } else if let Some((number, name)) = counted(word) {
            parsed.count.get_or_insert(number);
            parsed.rest.push(name.to_owned());
        } else if let Some((name, form)) = formed(word) {
            parsed.form.get_or_insert(form);
            parsed.rest.push(name.to_owned());
        } else {
            parsed.rest.push(word.to_owned());
        }
    }
    parsed.take_model();
    parsed.take_numbers();
    parsed
}

impl Parsed {
    /// Finds the longest run of words that is a model.
    fn take_model(&mut self) {
        for length in (1..=self.rest.len()).rev() {
            for start in 0..=self.rest.len() - length {
                let run = self.rest[start..start + length].concat();
                if let Some(at) = find(&run) {
                    self.known = Some(at);
                    self.rest.drain(start..start + length);
                    return;
                }
            }
        }
    }

    /// Bare numbers beside a known model, as in `H100-1-80`, and the memory of all GPUs together, as
    /// in `gpu-h100x8-640gb`.
    fn take_numbers(&mut self) {
        let Some((_, _, sizes)) = self.known.and_then(|at| MODELS.get(at)) else {
            return;
        };
        let mut rest = Vec::new();
        for word in std::mem::take(&mut self.rest) {
            match word.parse::<u64>() {
                Ok(number) if (1..=MOST_BARE).contains(&number) && self.count.is_none() => {
                    self.count = Some(number);
                }
                Ok(number)
                    if self.memory_gib.is_none()
                        && sizes.iter().any(|size| u64::from(*size) == number) =>
                {
                    self.memory_gib = u32::try_from(number).ok();
                }
                _ => rest.push(word),
            }
        }
        self.rest = rest;
        if let (Some(memory), Some(count)) = (self.memory_gib, self.count)
            && !sizes.contains(&memory)
            && let Ok(count) = u32::try_from(count)
            && memory.checked_rem(count) == Some(0)
            && sizes.contains(&(memory / count))
        {
            self.memory_gib = Some(memory / count);
        }
    }
}

/// The model that a text without spaces names.
fn find(run: &str) -> Option<usize> {
    MODELS.iter().position(|(name, others, _)| {
        others.contains(&run)
            || name
                .bytes()
                .filter(|byte| *byte != b' ')
                .map(|byte| byte.to_ascii_lowercase())
                .eq(run.bytes())
    })
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_unit(word: &str) -> bool {
    matches!(word, "gb" | "gib")
}

/// `8x`, `x8`.
fn count(word: &str) -> Option<u64> {
    let number = word.strip_suffix('x').or_else(|| word.strip_prefix('x'))?;
    is_number(number).then(|| number.parse().ok())?
}

/// `80gb`, `80gib`, `80g`.
fn memory(word: &str) -> Option<u32> {
    let number = ["gb", "gib", "g"]
        .iter()
        .find_map(|unit| word.strip_suffix(unit))?;
    is_number(number).then(|| number.parse().ok())?
}

/// `8xh100`, `h100x8`.
fn counted(word: &str) -> Option<(u64, &str)> {
    let (before, after) = word.split_once('x')?;
    if is_number(before) && find(after).is_some() {
        return Some((before.parse().ok()?, after));
    }
    let (before, after) = word.rsplit_once('x')?;
    let is_count = is_number(after) && find(before).is_some();
    is_count.then(|| Some((after.parse().ok()?, before)))?
}

/// `h100sxm5`.
fn formed(word: &str) -> Option<(&str, GpuForm)> {
    let at = ["sxm", "pcie", "nvl"]
        .iter()
        .find_map(|form| word.rfind(form))?;
    let (name, form) = word.split_at_checked(at)?;
    find(name)?;
    Some((name, GpuForm::of(form)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &str) -> String {
        GpuModel::of(words).map_or_else(|| "nothing".to_owned(), |model| model.to_string())
    }

    #[test]
    fn every_way_to_write_a_model_has_one_name() {
        for (words, name) in [
            // what people write
            ("h100", "H100"),
            ("h100-8x", "H100"),
            ("8x H100", "H100"),
            ("8xH100", "H100"),
            ("NVIDIA H100 80GB HBM3", "H100 80GB"),
            ("nvidia-h100-80gb", "H100 80GB"),
            ("NVIDIA H100 PCIe", "H100 PCIe"),
            ("NVIDIA H100 NVL", "H100 NVL"),
            ("H100 SXM", "H100 SXM"),
            ("h100sxm5", "H100 SXM"),
            ("A100", "A100"),
            ("A100-80GB", "A100 80GB"),
            ("A100-SXM4-40GB", "A100 40GB SXM"),
            ("NVIDIA A100 80GB PCIe", "A100 80GB PCIe"),
            ("A100 80", "A100 80GB"),
            ("L4", "L4"),
            ("nvidia-l4", "L4"),
            ("L40", "L40"),
            ("L40S", "L40S"),
            ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
            ("rtx6000ada", "RTX 6000 Ada"),
            ("RTX-6000-Ada", "RTX 6000 Ada"),
            ("RTX A6000", "A6000"),
            ("a6000", "A6000"),
            ("Quadro RTX 6000", "RTX 6000"),
            ("RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
            ("NVIDIA GeForce RTX 4090", "RTX 4090"),
            ("4090", "RTX 4090"),
            ("AMD Instinct MI300X", "MI300X"),
            ("mi300", "MI300X"),
            ("Tesla V100-SXM2-16GB", "V100 16GB SXM"),
            ("Tesla T4", "T4"),
            ("T4G", "T4G"),
            ("NVIDIA GH200 480GB", "GH200 480GB"),
            ("B200", "B200"),
            ("GB200", "GB200"),
            ("H200 141GB HBM3e", "H200 141GB"),
            // what providers say
            ("NVIDIA H100", "H100"),
            ("NVIDIA A10G", "A10G"),
            ("NVIDIA L40S", "L40S"),
            ("NVIDIA T4g", "T4G"),
            ("NVIDIA K80", "K80"),
            ("AMD Radeon Pro V520", "V520"),
            ("Habana Gaudi HL-205", "GAUDI"),
            ("nvidia_h100", "H100"),
            ("amd_mi300x", "MI300X"),
            ("nvidia_rtx4000_ada", "RTX 4000 Ada"),
            ("H100 SXM5", "H100 SXM"),
            ("A10 PCIe", "A10 PCIe"),
            ("GH200", "GH200"),
            ("Tesla V100", "V100"),
            ("B300 next year", "B300"),
            ("NVIDIA RTX PRO 6000 Blackwell", "RTX PRO 6000"),
            ("NVIDIA RTX 4000 Ada Generation", "RTX 4000 Ada"),
            ("NVIDIA Quadro RTX 6000", "RTX 6000"),
            ("NVIDIA H100-PCIe", "H100 PCIe"),
            ("NVIDIA P100", "P100"),
            // names of instance types
            ("gpu_8x_h100_sxm5", "H100 SXM"),
            ("gpu-h100x8-640gb", "H100 80GB"),
            ("gpu-h100x1-80gb", "H100 80GB"),
            ("gpu-mi300x1-192gb", "MI300X 192GB"),
            ("gpu-mi300x8-1536gb", "MI300X 192GB"),
            ("H100-2-80G", "H100 80GB"),
            ("L40S-4-48G", "L40S 48GB"),
            ("gpu_1x_a10", "A10"),
            // in no table
            ("Voodoo 2", "VOODOO 2"),
            ("", "nothing"),
            ("NVIDIA GPU", "nothing"),
        ] {
            assert_eq!(shown(words), name, "{words}");
        }
    }

    #[test]
    fn the_table_has_no_name_twice_and_is_understood_by_itself() {
        for (at, (name, others, sizes)) in MODELS.iter().enumerate() {
            assert_eq!(shown(name), *name);
            assert!(!sizes.is_empty(), "{name}");
            for other in *others {
                assert_eq!(find(other), Some(at), "{other} is another model, too");
            }
        }
    }

    fn machine(gpus: u32, model: &str, memory_mib: u64) -> InstanceType {
        InstanceType {
            name: "a".into(),
            vcpus: 8,
            memory_mib: 1,
            architecture: "x86_64".into(),
            gpus,
            gpu_model: Some(model.to_owned()).filter(|_| gpus > 0),
            gpu_memory_mib: Some(memory_mib).filter(|mib| gpus > 0 && *mib > 0),
        }
    }

    #[test]
    fn memory_that_was_measured_is_what_is_advertised() {
        for (model, mib, gib) in [
            ("NVIDIA H100", 81_920, Some(80)),
            ("NVIDIA H100", 81_559, Some(80)),
            ("H100 NVL", 96_000, Some(94)),
            ("NVIDIA A100", 40_960, Some(40)),
            ("NVIDIA A100", 81_920, Some(80)),
            ("NVIDIA L4", 22_888, Some(24)),
            ("NVIDIA L40S", 45_776, Some(48)),
            ("NVIDIA B200", 183_359, Some(180)),
            ("NVIDIA L4", 3_000, Some(3)),
            ("NVIDIA A100", 0, None),
            ("NVIDIA T4", 0, Some(16)),
        ] {
            let found = GpuModel::of_type(&machine(1, model, mib)).unwrap();
            assert_eq!(found.memory_gib, gib, "{model} with {mib}");
        }
        assert_eq!(GpuModel::of_type(&machine(0, "", 0)), None);
    }

    #[test]
    fn a_wish_is_met_by_what_it_names_and_by_nothing_else() {
        let big = machine(8, "NVIDIA A100", 81_920);
        let small = machine(1, "nvidia_a100", 40_960);
        let card = machine(2, "NVIDIA H100-PCIe", 81_920);
        let quiet = machine(4, "NVIDIA H100", 0);
        let ada = machine(1, "NVIDIA RTX 6000 Ada Generation", 49_152);
        let odd = machine(1, "Voodoo 2 SLI", 12);
        let none = machine(0, "", 0);
        for (wish, of, why) in [
            ("A100", &big, None),
            ("A100", &small, None),
            ("A100:8", &big, None),
            ("A100:8", &small, Some("1 GPUs, 8 wanted")),
            ("A100:2+", &big, None),
            ("A100:2..4", &big, Some("8 GPUs, 2..4 wanted")),
            ("A100-80GB", &big, None),
            ("A100-80GB", &small, Some("GPU has 40 GiB, 80 wanted")),
            ("A100", &card, Some("GPU is H100 80GB PCIe, A100 wanted")),
            ("H100 PCIe", &card, None),
            ("H100 SXM5", &card, Some("GPU is PCIe, SXM wanted")),
            (
                "H100 SXM5",
                &quiet,
                Some("the provider does not say that its GPU is SXM"),
            ),
            (
                "H100-80GB",
                &quiet,
                Some("its GPU's memory is unknown, 80 GiB wanted"),
            ),
            ("RTX 6000 Ada", &ada, None),
            (
                "A6000",
                &ada,
                Some("GPU is RTX 6000 Ada 48GB, A6000 wanted"),
            ),
            (
                "RTX 6000",
                &ada,
                Some("GPU is RTX 6000 Ada 48GB, RTX 6000 wanted"),
            ),
            ("voodoo", &odd, None),
            ("H100:8", &none, Some("no GPU, H100:8 wanted")),
        ] {
            let parsed: GpuWish = wish.parse().unwrap();
            assert_eq!(parsed.unmet_by(of).as_deref(), why, "{wish}");
        }
    }

    #[test]
    fn wishes_have_a_number_and_what_is_no_wish_says_how_to_write_one() {
        for (text, shown) in [
            ("H100:8", "H100:8"),
            ("h100-8x", "H100:8"),
            ("gpu_8x_h100_sxm5", "H100 SXM:8"),
            ("h100x8", "H100:8"),
            ("a100-80gb:4+", "A100 80GB:4+"),
            ("L4", "L4"),
            ("L4:1+", "L4"),
            ("L4:1", "L4:1"),
        ] {
            let wish: GpuWish = text.parse().unwrap();
            assert_eq!(wish.to_string(), shown, "{text}");
            assert_eq!(
                wish.to_string().parse::<GpuWish>().unwrap(),
                wish,
                "{shown}"
            );
        }
        for bad in [
            "",
            "8x",
            ":8",
            "H100:",
            "H100:many",
            "H100:0",
            "8x H100:8",
            "H100 deluxe",
        ] {
            let error = bad.parse::<GpuWish>().unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{bad}");
            assert!(error.hint().is_some(), "{bad}");
        }
    }
}
