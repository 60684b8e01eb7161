//! Where values are at run time: which field of which header.

use std::rc::Rc;

use flownic_pipeline::bmv2;

use super::Lowerer;
use crate::ast::{Name, RecordKind};
use crate::hir::{Expr, ExprKind, VarId};
use crate::source::Span;
use crate::types::{Record, Type};

/// Storage of a value.
#[derive(Debug)]
pub(super) enum Place {
    /// A field.
    Field(FieldPlace),
    /// Header instance.
    Header(String, Rc<Record>),
    /// Places of the parts of a structure or tuple.
    Parts(Vec<Rc<Place>>),
    /// Something that has no storage: packets.
    Nothing,
}

/// One field of a header or of metadata.
#[derive(Debug, Clone)]
pub(super) struct FieldPlace {
    pub(super) header: String,
    pub(super) field: String,
    pub(super) ty: Type,
}

impl FieldPlace {
    pub(super) fn value(&self) -> bmv2::Value {
        bmv2::Value::Field([self.header.clone(), self.field.clone()])
    }
}

/// What a variable stands for.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Place(Rc<Place>),
    /// Known at compile time.
    Constant(Rc<Expr>),
    /// Parameter that the control plane gives, by position.
    RuntimeData(u32),
}

impl Lowerer<'_> {
    /// The place of a type inside of metadata `header`; its fields are added to `fields`.
    fn place_of(
        &mut self,
        ty: &Type,
        header: &str,
        path: &str,
        fields: &mut Vec<bmv2::FieldType>,
        span: Span,
    ) -> Rc<Place> {
        let joined = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        match ty {
            Type::Record(record) if record.kind == RecordKind::Struct => {
                let parts = record.fields.iter().map(|field| {
                    let path = joined(&field.name);
                    self.place_of(&field.ty, header, &path, fields, record.span)
                });
                Rc::new(Place::Parts(parts.collect()))
            }
            Type::Tuple(items) => {
                let parts = items.iter().enumerate().map(|(at, item)| {
                    let path = joined(&format!("f{at}"));
                    self.place_of(item, header, &path, fields, span)
                });
                Rc::new(Place::Parts(parts.collect()))
            }
            Type::Record(record) if record.kind == RecordKind::Header => {
                let name = format!("{header}.{path}");
                self.header_instance(record, &name)
            }
            Type::Record(_) | Type::Stack(..) => self.no_storage(ty, span),
            _ => {
                let Some(width) = ty.width().filter(|width| *width > 0) else {
                    return self.no_storage(ty, span);
                };
                if matches!(ty.base(), Type::Varbit(_)) {
                    return self.no_storage(ty, span);
                }
                fields.push(bmv2::FieldType {
                    name: path.to_owned(),
                    width: Some(width),
                    signed: ty.is_signed(),
                });
                Rc::new(Place::Field(FieldPlace {
                    header: header.to_owned(),
                    field: path.to_owned(),
                    ty: ty.clone(),
                }))
            }
        }
    }

    fn no_storage(&mut self, ty: &Type, span: Span) -> Rc<Place> {
        self.unsupported(span, &format!("a variable of type {ty}"));
        Rc::new(Place::Nothing)
    }

    /// Headers of the packet: names are the paths of the fields.
    pub(super) fn headers_root(&mut self, ty: &Type) -> Rc<Place> {
        self.headers_of(ty, "")
    }

    fn headers_of(&mut self, ty: &Type, path: &str) -> Rc<Place> {
        match ty {
            Type::Record(record) if record.kind == RecordKind::Struct => {
                let parts = record.fields.iter().map(|field| {
                    let path = if path.is_empty() {
                        field.name.to_string()
                    } else {
                        format!("{path}.{}", field.name)
                    };
                    match &field.ty {
                        Type::Record(_) => self.headers_of(&field.ty, &path),
                        other => self.no_header(other, record.span),
                    }
                });
                Rc::new(Place::Parts(parts.collect()))
            }
            Type::Record(record) if record.kind == RecordKind::Header => {
                self.header_instance(record, path)
            }
            other => self.no_header(other, Span::default()),
        }
    }

    fn no_header(&mut self, ty: &Type, span: Span) -> Rc<Place> {
        self.unsupported(span, &format!("{ty} among the headers of a packet"));
        Rc::new(Place::Nothing)
    }

    /// Metadata: one header instance that is never on the wire.
    pub(super) fn metadata_root(&mut self, ty: &Type, name: &str) -> Rc<Place> {
        let mut fields = Vec::new();
        let span = ty.record().map_or(Span::default(), |record| record.span);
        let place = self.place_of(ty, name, "", &mut fields, span);
        let declared = ty.record().map_or("metadata", |record| &record.name);
        let wanted = match name {
            "standard_metadata" => name,
            _ => declared,
        };
        self.metadata_header(name, wanted, fields);
        place
    }

    fn metadata_header(&mut self, name: &str, wanted: &str, mut fields: Vec<bmv2::FieldType>) {
        let type_name = &self.unique_type(wanted);
        let bits: u32 = fields.iter().filter_map(|f| f.width).sum();
        if !bits.is_multiple_of(8) {
            fields.push(bmv2::FieldType {
                name: "_padding".to_owned(),
                width: Some(8 - bits % 8),
                signed: false,
            });
        }
        self.out.header_types.push(bmv2::HeaderType {
            name: type_name.to_owned(),
            id: self.out.header_types.len() as u32,
            fields,
            length_exp: None,
            max_length: None,
        });
        self.out.headers.push(bmv2::Header {
            name: name.to_owned(),
            id: self.out.headers.len() as u32,
            header_type: type_name.to_owned(),
            metadata: true,
            pi_omit: true,
        });
    }

    /// A header instance of its own.
    fn header_instance(&mut self, record: &Rc<Record>, name: &str) -> Rc<Place> {
        let header_type = self.header_type(record);
        let name = self.unique(name);
        self.out.headers.push(bmv2::Header {
            name: name.clone(),
            id: self.out.headers.len() as u32,
            header_type,
            metadata: false,
            pi_omit: true,
        });
        Rc::new(Place::Header(name, record.clone()))
    }

    fn header_type(&mut self, record: &Rc<Record>) -> String {
        if let Some(known) = self.header_types.get(&Rc::as_ptr(record)) {
            return known.clone();
        }
        let type_name = self.unique_type(&record.name);
        let varying = |ty: &Type| matches!(ty.base(), Type::Varbit(_));
        let fields = record.fields.iter().map(|field| bmv2::FieldType {
            name: field.name.to_string(),
            width: field.ty.width().filter(|_| !varying(&field.ty)),
            signed: field.ty.is_signed(),
        });
        let bits: u32 = record.fields.iter().filter_map(|f| f.ty.width()).sum();
        let has_varying = record.fields.iter().any(|field| varying(&field.ty));
        self.out.header_types.push(bmv2::HeaderType {
            name: type_name.clone(),
            id: self.out.header_types.len() as u32,
            fields: fields.collect(),
            length_exp: None,
            max_length: has_varying.then_some(bits / 8),
        });
        self.header_types
            .insert(Rc::as_ptr(record), type_name.clone());
        type_name
    }

    /// New storage for a value.
    pub(super) fn allocate(&mut self, ty: &Type, name: &str, span: Span) -> Rc<Place> {
        if let Some(record) = ty.header() {
            return self.header_instance(&record.clone(), name);
        }
        let name = self.unique(name);
        let mut fields = Vec::new();
        let place = self.place_of(ty, "scalars", &name, &mut fields, span);
        self.scalars.append(&mut fields);
        place
    }

    /// A variable of the compiler's own.
    pub(super) fn temporary(&mut self, ty: &Type, span: Span) -> Rc<Place> {
        self.allocate(ty, "tmp", span)
    }

    /// Puts a variable of the block in place.
    pub(super) fn declare(&mut self, var: VarId) -> Rc<Place> {
        let key = (self.block, var);
        let place = match self.storage.get(&key) {
            Some(place) => place.clone(),
            None => {
                let declared = self.program.var(var).clone();
                let block = &self.design.blocks[self.block].name;
                let name = format!("{block}.{}", declared.name);
                let place = self.allocate(&declared.ty, &name, declared.span);
                self.storage.insert(key, place.clone());
                place
            }
        };
        self.slots.insert(var, Slot::Place(place.clone()));
        place
    }

    /// The metadata header of variables, and the names that the target expects.
    pub(super) fn finish_storage(&mut self) {
        let fields = std::mem::take(&mut self.scalars);
        self.metadata_header("scalars", "scalars_t", fields);
        const QUEUEING: [&str; 4] = ["enq_timestamp", "enq_qdepth", "deq_timedelta", "deq_qdepth"];
        const INTRINSIC: [&str; 5] = [
            "ingress_global_timestamp",
            "egress_global_timestamp",
            "mcast_grp",
            "egress_rid",
            "priority",
        ];
        let queueing = QUEUEING.iter().map(|field| ("queueing_metadata", field));
        let intrinsic = INTRINSIC.iter().map(|field| ("intrinsic_metadata", field));
        let aliases = queueing.chain(intrinsic).map(|(header, field)| {
            let target = ["standard_metadata".to_owned(), (*field).to_owned()];
            (format!("{header}.{field}"), target)
        });
        self.out.field_aliases = aliases.collect();
    }

    /// The place that an expression names, when it names one.
    pub(super) fn place(&mut self, expr: &Expr) -> Option<Rc<Place>> {
        match &expr.kind {
            ExprKind::Var(var) => match self.slots.get(var) {
                Some(Slot::Place(place)) => Some(place.clone()),
                Some(_) => None,
                None => Some(self.declare(*var)),
            },
            ExprKind::Field(base, at) => {
                let record = base.ty.record().cloned();
                match &*self.place(base)? {
                    Place::Parts(parts) => parts.get(*at).cloned(),
                    Place::Header(header, _) => {
                        let field = record?.fields.get(*at).cloned()?;
                        Some(Rc::new(Place::Field(FieldPlace {
                            header: header.clone(),
                            field: field.name.to_string(),
                            ty: field.ty,
                        })))
                    }
                    _ => None,
                }
            }
            ExprKind::Element(..) | ExprKind::StackMember(..) => {
                self.unsupported(expr.span, "a header stack");
                None
            }
            _ => None,
        }
    }

    /// The variable that an expression's place belongs to, and the fields on the way.
    pub(super) fn path(expr: &Expr) -> Option<(VarId, Vec<usize>)> {
        match &expr.kind {
            ExprKind::Var(var) => Some((*var, Vec::new())),
            ExprKind::Field(base, at) => {
                let (var, mut path) = Self::path(base)?;
                path.push(*at);
                Some((var, path))
            }
            ExprKind::Slice(base, ..) => Self::path(base),
            ExprKind::Element(base, _) | ExprKind::StackMember(base, _) => Self::path(base),
            _ => None,
        }
    }

    /// Name of the header at a place.
    pub(super) fn header_name(place: &Place) -> Option<&str> {
        match place {
            Place::Header(name, _) => Some(name),
            _ => None,
        }
    }

    /// All fields of a place, in order.
    pub(super) fn leaves(place: &Place, found: &mut Vec<FieldPlace>) {
        match place {
            Place::Field(field) => found.push(field.clone()),
            Place::Header(name, record) => {
                found.extend(record.fields.iter().map(|field| FieldPlace {
                    header: name.clone(),
                    field: field.name.to_string(),
                    ty: field.ty.clone(),
                }));
            }
            Place::Parts(parts) => parts.iter().for_each(|part| Self::leaves(part, found)),
            Place::Nothing => {}
        }
    }

    pub(super) fn var_name(&self, var: VarId) -> Name {
        self.program.var(var).name.clone()
    }
}
