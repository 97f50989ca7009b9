//! Holds bindgen's layouts against those that gcc measured through each Asterisk's own headers
//! (`tests/abi/asterisk-*.json`), as assertions that the compiler evaluates.
//!
//! Which tables count is read from the headers, for they hold no version number: those of the same
//! ABI group. Within a group minor releases differ, so a struct is compared with the table that
//! has the same fields. Where no table has (a build option put one in, or a release nobody
//! measured), the fields before the first difference are compared, and the struct is listed as
//! compared in part.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Asterisk's release lines whose headers carry the same marks, with their tables.
struct Group {
    name: &'static str,
    tables: &'static [&'static str],
}

fn group(found: &[&str]) -> Group {
    let has = |feature| found.contains(&feature);
    if !has("stasis") {
        Group { name: "11", tables: &["11", "11.0.0"] }
    } else if !has("iostream") {
        Group { name: "12 to 14", tables: &["13", "13.0.0"] }
    } else if !has("frame_topology") {
        Group { name: "15 to 17", tables: &["16"] }
    } else if has("monitor") {
        Group { name: "18 to 20", tables: &["20", "18"] }
    } else {
        Group { name: "21 or later", tables: &["22"] }
    }
}

/// Writes the assertions. `found`: the features that the headers show.
pub fn assertions(bindings: &str, found: &[&str]) -> Result<String, String> {
    let group = group(found);
    let tables = group.tables.iter().map(|name| table(name)).collect::<Result<Vec<_>, _>>()?;
    let mut checks = Checks::default();
    // Measured on this one; elsewhere a difference would be no fault.
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("x86_64") {
        return Ok(checks.finish("none: measured on x86_64 only"));
    }
    checks.structs(bindings, &tables);
    checks.enums(bindings, &tables);
    Ok(checks.finish(group.name))
}

fn table(name: &str) -> Result<Value, String> {
    let path = Path::new("tests/abi").join(format!("asterisk-{name}.json"));
    let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{} is damaged: {e}", path.display()))
}

#[derive(Default)]
struct Checks {
    text: String,
    whole: usize,
    partial: Vec<String>,
    fields: usize,
    constants: usize,
}

impl Checks {
    fn structs(&mut self, bindings: &str, tables: &[Value]) {
        let mut names: Vec<&String> =
            tables.iter().filter_map(|t| t["structs"].as_object()).flat_map(|s| s.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let Some(ours) = fields_of(bindings, name) else { continue };
            let measured: Vec<(&Value, Vec<(&str, u64)>)> = tables
                .iter()
                .map(|table| &table["structs"][name.as_str()])
                .filter(|layout| layout.is_object())
                .map(|layout| (layout, fields_in(layout)))
                .collect();
            let same =
                measured.iter().find(|(_, theirs)| theirs.len() == ours.len() && common(&ours, theirs) == ours.len());
            if let Some((layout, theirs)) = same {
                self.whole += 1;
                for (what, function) in [("size", "size_of"), ("align", "align_of")] {
                    let value = layout[what].as_u64().unwrap_or(0);
                    self.check(&format!("{function}::<{name}>() == {value}"), &format!("{what} of {name}"));
                }
                self.offsets(name, &ours, theirs);
            } else if let Some((_, theirs)) = measured.iter().max_by_key(|(_, theirs)| common(&ours, theirs)) {
                self.partial.push(name.clone());
                self.offsets(name, &ours, &theirs[..common(&ours, theirs)]);
            }
        }
    }

    fn offsets(&mut self, name: &str, ours: &[Field], theirs: &[(&str, u64)]) {
        for (our, (field, offset)) in ours.iter().zip(theirs) {
            self.fields += 1;
            let condition = format!("::std::mem::offset_of!({name}, {}) == {offset}", our.path);
            self.check(&condition, &format!("offset of {name}.{field}"));
        }
    }

    /// A constant may have the value of any table of the group: minor releases renumbered some.
    fn enums(&mut self, bindings: &str, tables: &[Value]) {
        let mut known: Vec<(String, Vec<i64>)> = Vec::new();
        for (name, items) in tables.iter().filter_map(|table| table["enums"].as_object()).flatten() {
            for (item, value) in items.as_object().into_iter().flatten() {
                let (Some(value), constant) = (value.as_i64(), format!("{name}_{item}")) else { continue };
                match known.iter_mut().find(|(other, _)| *other == constant) {
                    Some((_, values)) => values.push(value),
                    None => known.push((constant, vec![value])),
                }
            }
        }
        for (constant, values) in known {
            if !bindings.contains(&format!("pub const {constant} :")) {
                continue;
            }
            self.constants += 1;
            let any: Vec<String> = values.iter().map(|value| format!("{constant} as i64 == {value}")).collect();
            self.check(&any.join(" || "), &constant);
        }
    }

    fn check(&mut self, condition: &str, what: &str) {
        let _ = writeln!(self.text, "    assert!({condition}, \"{what} is not what was measured\");");
    }

    fn finish(self, group: &str) -> String {
        format!(
            "const _: () = {{\n{}}};\n\
             /// Which tables the layouts were held against, and how much of them.\n\
             pub const LAYOUT: Layout = Layout {{ group: {group:?}, whole: {}, partial: &{:?}, fields: {}, constants: {} }};\n",
            self.text, self.whole, self.partial, self.fields, self.constants
        )
    }
}

/// A field as C names it, and its path in what bindgen wrote.
struct Field {
    name: String,
    path: String,
}

/// The named fields of a struct that bindgen wrote, those of anonymous members among them, as in
/// C. Bit-fields have no offset of their own. `None` for what bindgen saw no body of.
fn fields_of(bindings: &str, name: &str) -> Option<Vec<Field>> {
    let body = ["struct", "union"].iter().find_map(|kind| bindings.split_once(&format!("pub {kind} {name} {{")))?.1;
    let (body, _) = body.split_once('}')?;
    let mut fields = Vec::new();
    for field in body.split("pub ").skip(1) {
        let (field, kind) = field.split_once(" :")?;
        let (field, kind) = (field.trim(), kind.split(',').next()?.trim());
        if field.starts_with("__bindgen_anon") {
            let inner = fields_of(bindings, kind)?;
            fields.extend(inner.into_iter().map(|f| Field { path: format!("{field}.{}", f.path), ..f }));
        } else if !field.starts_with("_bitfield") && !field.starts_with("_bindgen") && !field.starts_with("__bindgen") {
            fields.push(Field { name: c_name(field).into(), path: field.into() });
        }
    }
    (!fields.is_empty() && fields[0].name != "_address").then_some(fields)
}

fn fields_in(layout: &Value) -> Vec<(&str, u64)> {
    let fields = layout["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    fields
        .iter()
        .filter_map(|field| Some((field["name"].as_str()?, field["offset"].as_u64()?)))
        .filter(|(name, _)| !name.is_empty() && !name.contains('.'))
        .collect()
}

/// How many fields agree before the first that does not.
fn common(ours: &[Field], theirs: &[(&str, u64)]) -> usize {
    ours.iter().zip(theirs).take_while(|(our, (their, _))| our.name == *their).count()
}

/// bindgen puts an underscore behind what Rust reserves.
fn c_name(field: &str) -> &str {
    match field.strip_suffix('_') {
        Some(name @ ("self" | "type" | "mod" | "ref" | "str")) => name,
        _ => field,
    }
}
