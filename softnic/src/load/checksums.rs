//! Calculations (hashes) and checksums.

use super::Symbols;
use super::expr::Reader;
use super::json::{Json, LoadError};
use super::layout::FieldRef;
use crate::program::{Calculation, Checksum, HashAlgorithm, HashInput, HeaderId};

/// Loads all calculations, and their names into `symbols`.
pub(crate) fn calculations(
    root: &Json<'_>,
    symbols: &mut Symbols,
) -> Result<Vec<Calculation>, LoadError> {
    let mut calculations = Vec::new();
    for json in root.list("calculations")? {
        let algo = json.get("algo")?;
        let algorithm = algorithm(&algo)?;
        let mut input = Vec::new();
        for part in json.list("input")? {
            push(&mut input, hash_input(&part, symbols)?);
        }
        let name = json.get("name")?.str()?.to_owned();
        symbols.calculations.insert(name, calculations.len() as u16);
        calculations.push(Calculation { algorithm, input });
    }
    Ok(calculations)
}

fn algorithm(json: &Json<'_>) -> Result<HashAlgorithm, LoadError> {
    Ok(match json.str()? {
        "crc8_custom" => HashAlgorithm::Crc8,
        // The custom ones can be configured on bmv2; this is what they are before.
        "crc16" | "crc16_custom" => HashAlgorithm::Crc16,
        "crc32" | "crc32_custom" => HashAlgorithm::Crc32,
        "crc64_custom" => HashAlgorithm::Crc64,
        "crcCCITT" => HashAlgorithm::CrcCcitt,
        "csum16" | "cksum16" => HashAlgorithm::Csum16,
        "xor16" => HashAlgorithm::Xor16,
        "xor32" => HashAlgorithm::Xor32,
        "identity" => HashAlgorithm::Identity,
        other => return json.fail(format!("hash algorithm {other:?} is not supported")),
    })
}

fn hash_input(json: &Json<'_>, symbols: &Symbols) -> Result<HashInput, LoadError> {
    let kind = json.get("type")?;
    match kind.str()? {
        "field" => {
            let value = json.get("value")?;
            let header = header_of(&value, symbols)?;
            match symbols.layout.field(&value)? {
                FieldRef::Bits(bits) => {
                    let end = (bits.at + bits.bytes) * 8 - u32::from(bits.shift);
                    let at_bits = end - bits.width;
                    Ok(HashInput::Bits {
                        header,
                        at_bits,
                        bits: bits.width,
                    })
                }
                FieldRef::Varbit(header) => Ok(HashInput::Varbit(header)),
                FieldRef::Valid(_) => value.fail("the validity of a header cannot be hashed"),
            }
        }
        "header" => Ok(HashInput::Header(
            symbols.layout.header(&json.get("value")?)?,
        )),
        "hexstr" => {
            let bits = json.get("bitwidth")?.number(1 << 16)? as u32;
            let value = json.get("value")?.hex_bytes(bits.div_ceil(8) as usize)?;
            Ok(HashInput::Const { value, bits })
        }
        "payload" => Ok(HashInput::Payload),
        other => kind.fail(format!("{other:?} cannot be hashed")),
    }
}

fn header_of(field: &Json<'_>, symbols: &Symbols) -> Result<HeaderId, LoadError> {
    symbols.layout.header(&field.pair()?.0)
}

/// Adds a part; fields that lie behind one another become one part.
fn push(input: &mut Vec<HashInput>, part: HashInput) {
    if let (
        Some(HashInput::Bits {
            header,
            at_bits,
            bits,
        }),
        HashInput::Bits {
            header: next_header,
            at_bits: next_at,
            bits: more,
        },
    ) = (input.last_mut(), &part)
        && header == next_header
        && *at_bits + *bits == *next_at
    {
        *bits += more;
        return;
    }
    input.push(part);
}

/// Checksums to verify, and to update.
pub(crate) fn checksums(
    root: &Json<'_>,
    symbols: &Symbols,
) -> Result<(Vec<Checksum>, Vec<Checksum>), LoadError> {
    let (mut verify, mut update) = (Vec::new(), Vec::new());
    let reader = Reader {
        symbols,
        params: &[],
    };
    for json in root.list("checksums")? {
        let kind = json.get("type")?;
        if kind.str()? != "generic" {
            return kind.fail("only generic checksums are supported");
        }
        let target = json.get("target")?;
        let calculation = json.get("calculation")?;
        let Some(&index) = symbols.calculations.get(calculation.str()?) else {
            return calculation.fail("there is no such calculation");
        };
        let condition = json
            .opt("if_cond")
            .map(|condition| reader.truth(&condition))
            .transpose()?;
        let checksum = Checksum {
            header: header_of(&target, symbols)?,
            target: symbols.layout.bits(&target)?,
            calculation: index,
            condition,
        };
        let is = |key: &str| json.opt(key).map_or(Ok(true), |flag| flag.bool());
        if is("verify")? {
            verify.push(checksum.clone());
        }
        if is("update")? {
            update.push(checksum);
        }
    }
    Ok((verify, update))
}
