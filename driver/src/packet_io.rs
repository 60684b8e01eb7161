//! Controller headers: the bits in front of a packet that crosses the CPU port, by P4Info.
//!
//! The fields of `controller_packet_metadata` follow each other in their order, most significant
//! bit first, without gaps; together they are whole bytes.

use flownic_pipeline::entity::canonical;
use flownic_pipeline::p4info::{ControllerPacketMetadata, P4Info};

use crate::nic::{PacketIn, PacketOut};

/// A packet or a P4Info does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A header of the P4Info is not made of whole bytes, or two fields have one id.
    #[error("the program's header `{header}` cannot be used: {reason}")]
    BadHeader {
        /// Name of the header.
        header: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A packet from the NIC is shorter than its header.
    #[error("a packet of {len} bytes is shorter than its header of {header} bytes")]
    TooShort {
        /// Bytes of the packet.
        len: usize,
        /// Bytes of the header.
        header: usize,
    },
    /// A packet for the NIC is longer than the NIC takes.
    #[error("a packet of {len} bytes with its header is longer than {limit} bytes")]
    TooLong {
        /// Bytes with the header.
        len: usize,
        /// Limit.
        limit: usize,
    },
    /// A field of the header is missing.
    #[error("packet_out metadata {id} (`{name}`) is missing")]
    Missing {
        /// Id in the P4Info.
        id: u32,
        /// Name in the P4Info.
        name: String,
    },
    /// There is no such field, or it is given twice.
    #[error("packet_out metadata {id} is unknown or given twice")]
    Unexpected {
        /// Id as given.
        id: u32,
    },
    /// A value does not fit in its field.
    #[error("packet_out metadata {id} (`{name}`) has {width} bits, the value needs more")]
    TooWide {
        /// Id in the P4Info.
        id: u32,
        /// Name in the P4Info.
        name: String,
        /// Bits of the field.
        width: usize,
    },
}

#[derive(Debug, Clone)]
struct Field {
    id: u32,
    name: String,
    /// Bits.
    width: usize,
}

/// One header.
#[derive(Debug, Clone, Default)]
struct Header {
    fields: Vec<Field>,
    bytes: usize,
}

/// Codes and decodes both headers of a program.
#[derive(Debug, Clone)]
pub struct PacketCodec {
    packet_in: Header,
    packet_out: Header,
}

impl PacketCodec {
    /// For the headers `packet_in` and `packet_out`; a program without one has an empty one.
    ///
    /// # Errors
    /// [`PacketError::BadHeader`].
    pub fn new(p4info: &P4Info) -> Result<Self, PacketError> {
        Ok(Self {
            packet_in: header(p4info, "packet_in")?,
            packet_out: header(p4info, "packet_out")?,
        })
    }

    /// Takes the header off a punted packet.
    ///
    /// # Errors
    /// [`PacketError::TooShort`].
    pub fn decode(&self, packet: &[u8]) -> Result<PacketIn, PacketError> {
        let header = &self.packet_in;
        let too_short = PacketError::TooShort {
            len: packet.len(),
            header: header.bytes,
        };
        let (bits, payload) = packet.split_at_checked(header.bytes).ok_or(too_short)?;
        let mut start = 0;
        let mut metadata = Vec::with_capacity(header.fields.len());
        for field in &header.fields {
            metadata.push((
                field.id,
                canonical(&extract(bits, start, field.width)).to_vec(),
            ));
            start += field.width;
        }
        Ok(PacketIn {
            metadata,
            payload: payload.to_vec(),
        })
    }

    /// Puts the header in front of a packet.
    ///
    /// # Errors
    /// [`PacketError::Missing`], [`PacketError::Unexpected`], [`PacketError::TooWide`].
    pub fn encode(&self, packet: &PacketOut) -> Result<Vec<u8>, PacketError> {
        let header = &self.packet_out;
        for (i, (id, _)) in packet.metadata.iter().enumerate() {
            let known = header.fields.iter().any(|field| field.id == *id);
            let twice = packet.metadata[..i].iter().any(|(other, _)| other == id);
            if !known || twice {
                return Err(PacketError::Unexpected { id: *id });
            }
        }
        let mut bytes = Vec::with_capacity(header.bytes + packet.payload.len());
        bytes.resize(header.bytes, 0);
        let mut start = 0;
        for field in &header.fields {
            let given = packet.metadata.iter().find(|(id, _)| *id == field.id);
            let (_, value) = given.ok_or_else(|| PacketError::Missing {
                id: field.id,
                name: field.name.clone(),
            })?;
            deposit(&mut bytes, start, field, value)?;
            start += field.width;
        }
        bytes.extend_from_slice(&packet.payload);
        Ok(bytes)
    }
}

fn header(p4info: &P4Info, name: &'static str) -> Result<Header, PacketError> {
    let bad = |reason| {
        Err(PacketError::BadHeader {
            header: name,
            reason,
        })
    };
    let named = |header: &&ControllerPacketMetadata| header.preamble.name == name;
    let Some(found) = p4info.controller_packet_metadata.iter().find(named) else {
        return Ok(Header::default());
    };
    let mut fields: Vec<Field> = Vec::new();
    for field in &found.metadata {
        if fields.iter().any(|other| other.id == field.id) {
            return bad("two fields have the same id");
        }
        let width = field.bitwidth as usize;
        fields.push(Field {
            id: field.id,
            name: field.name.clone(),
            width,
        });
    }
    let bits: usize = fields.iter().map(|field| field.width).sum();
    if !bits.is_multiple_of(8) || bits > 8 * 2048 {
        return bad("its fields are not whole bytes, or more than 2048");
    }
    Ok(Header {
        fields,
        bytes: bits / 8,
    })
}

fn bit(bytes: &[u8], at: usize) -> bool {
    bytes[at / 8] & (0x80 >> (at % 8)) != 0
}

/// `width` bits from bit `start` on, as a big-endian byte string. Both are within `bytes`.
fn extract(bytes: &[u8], start: usize, width: usize) -> Vec<u8> {
    let mut value = vec![0; width.div_ceil(8)];
    let pad = value.len() * 8 - width;
    for i in (0..width).filter(|i| bit(bytes, start + i)) {
        value[(pad + i) / 8] |= 0x80 >> ((pad + i) % 8);
    }
    value
}

/// Writes a byte string to the bits of a field, which are zero before and within `bytes`.
fn deposit(bytes: &mut [u8], start: usize, field: &Field, value: &[u8]) -> Result<(), PacketError> {
    let bits = value.len() * 8;
    let mut ones = (0..bits).filter(|&i| bit(value, i)).peekable();
    // The first bits of a value that is longer than the field must be zeros.
    if ones.peek().is_some_and(|first| bits - first > field.width) {
        return Err(PacketError::TooWide {
            id: field.id,
            name: field.name.clone(),
            width: field.width,
        });
    }
    for one in ones {
        let at = start + field.width - (bits - one);
        bytes[at / 8] |= 0x80 >> (at % 8);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flownic_pipeline::p4info::{Metadata, Preamble};
    use proptest::prelude::*;

    fn p4info(name: &str, widths: &[u32]) -> P4Info {
        let field = |(i, &bitwidth): (usize, &u32)| Metadata {
            id: i as u32 + 1,
            name: format!("f{}", i + 1),
            bitwidth,
            ..Default::default()
        };
        P4Info {
            controller_packet_metadata: vec![ControllerPacketMetadata {
                preamble: Preamble {
                    name: name.into(),
                    ..Default::default()
                },
                metadata: widths.iter().enumerate().map(field).collect(),
            }],
            ..Default::default()
        }
    }

    /// R1.2: the punt header's fields arrive, whatever their widths.
    #[test]
    fn fields_are_packed_from_the_most_significant_bit() {
        let codec =
            PacketCodec::new(&p4info("packet_in", &[3, 1, 12, 8, 24])).expect("whole bytes");
        let packet = [0b1011_0000, 0b0000_0011, 0, 0, 1, 2, 0xaa, 0xbb];
        let decoded = codec.decode(&packet).expect("long enough");
        let values = [vec![5], vec![1], vec![3], vec![0], vec![1, 2]];
        assert_eq!(decoded.metadata, (1..).zip(values).collect::<Vec<_>>());
        assert_eq!(decoded.payload, [0xaa, 0xbb]);
        let error = codec.decode(&packet[..5]).expect_err("short");
        assert_eq!(error, PacketError::TooShort { len: 5, header: 6 });
    }

    #[test]
    fn wrong_metadata_are_refused() {
        let codec = PacketCodec::new(&p4info("packet_out", &[12, 4])).expect("whole bytes");
        let encode = |metadata: &[(u32, &[u8])]| {
            let metadata = metadata
                .iter()
                .map(|(id, value)| (*id, value.to_vec()))
                .collect();
            codec.encode(&PacketOut {
                metadata,
                payload: vec![9],
            })
        };
        assert_eq!(
            encode(&[(2, &[1]), (1, &[0, 0x0f, 0xff])]),
            Ok(vec![0xff, 0xf1, 9])
        );
        assert_eq!(encode(&[(1, &[]), (2, &[0])]), Ok(vec![0, 0, 9]));
        assert_eq!(
            encode(&[(2, &[1])]),
            Err(PacketError::Missing {
                id: 1,
                name: "f1".into()
            })
        );
        assert_eq!(encode(&[(3, &[1])]), Err(PacketError::Unexpected { id: 3 }));
        assert_eq!(
            encode(&[(1, &[1]), (2, &[1]), (1, &[1])]),
            Err(PacketError::Unexpected { id: 1 })
        );
        let wide = PacketError::TooWide {
            id: 1,
            name: "f1".into(),
            width: 12,
        };
        assert_eq!(encode(&[(1, &[0x10, 0]), (2, &[1])]), Err(wide));
    }

    #[test]
    fn headers_of_broken_bytes_are_refused() {
        assert!(PacketCodec::new(&p4info("packet_in", &[3, 4])).is_err());
        assert!(PacketCodec::new(&p4info("packet_in", &[u32::MAX, 1])).is_err());
        let codec = PacketCodec::new(&P4Info::default()).expect("no headers");
        assert_eq!(codec.decode(&[1, 2]).expect("no header").payload, [1, 2]);
    }

    proptest! {
        /// What is encoded is decoded by the same layout, and no bytes panic.
        #[test]
        fn round_trip(fields in proptest::collection::vec((1..70u32, any::<u64>()), 1..6), payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut widths: Vec<u32> = fields.iter().map(|(width, _)| *width).collect();
            let odd = widths.iter().sum::<u32>() % 8;
            widths.push(8 - odd);
            let mut info = p4info("packet_out", &widths);
            info.controller_packet_metadata.extend(p4info("packet_in", &widths).controller_packet_metadata);
            let codec = PacketCodec::new(&info).expect("whole bytes");
            let value = |width: u32, value: u64| if width < 64 { value & ((1 << width) - 1) } else { value };
            let mut metadata: Vec<(u32, Vec<u8>)> = (1..)
                .zip(&fields)
                .map(|(id, (width, v))| (id, canonical(&value(*width, *v).to_be_bytes()).to_vec()))
                .collect();
            metadata.push((widths.len() as u32, vec![0]));
            let packet = PacketOut { metadata: metadata.clone(), payload: payload.clone() };
            let bytes = codec.encode(&packet).expect("fits");
            prop_assert_eq!(codec.decode(&bytes).expect("long enough"), PacketIn { metadata, payload });
        }
    }
}
