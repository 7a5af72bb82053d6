//! Parameters and columns, as text.

use authlib::Secret;
use authlib::sql::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Column, Error};

/// `text` with its columns cast to text where they are of types that are not
/// read here, if any is: the server writes a value as text better than we
/// could. A cast costs it as much as finding the row, so the types that ids
/// usually have are read here.
pub(crate) fn with_readable_columns(text: &str, columns: &[Column]) -> Option<String> {
    if columns.iter().all(|column| is_readable(column.type_())) {
        return None;
    }
    let names: Vec<String> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
    let chosen: Vec<String> = names
        .iter()
        .zip(columns)
        .map(|(name, column)| match is_readable(column.type_()) {
            // As it is: a cast would take the blanks off a CHAR.
            true => format!("q.{name}"),
            false => format!("CAST(q.{name} AS text)"),
        })
        .collect();
    // A line of its own, since the text may end in a comment.
    Some(format!("SELECT {} FROM (\n{text}\n) AS q ({})", chosen.join(", "), names.join(", ")))
}

fn is_readable(kind: &Type) -> bool {
    is_integer(kind) || is_sent_as_text(kind)
}

fn is_integer(kind: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8].contains(base(kind))
}

/// Whether the binary form of this type is its text.
fn is_sent_as_text(kind: &Type) -> bool {
    let kind = base(kind);
    matches!(kind.kind(), Kind::Enum(_))
        || [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN].contains(kind)
        || kind.name() == "citext"
}

/// What a domain is made of, or the type itself.
fn base(kind: &Type) -> &Type {
    match kind.kind() {
        Kind::Domain(inner) => base(inner),
        _ => kind,
    }
}

/// The columns of `row`, which are readable.
pub(crate) fn taken(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let column = |index| Ok(row.try_get::<_, Option<Value>>(index)?.map(|value| value.0));
    Ok(Row::new((0..row.len()).map(column).collect::<Result<_, Error>>()?))
}

/// A value as text.
struct Value(Secret);

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        if is_sent_as_text(kind) {
            return Ok(Value(Secret::copy_of(raw)));
        }
        let number = match *base(kind) {
            Type::INT2 => i16::from_be_bytes(raw.try_into()?).into(),
            Type::INT4 => i32::from_be_bytes(raw.try_into()?).into(),
            _ => i64::from_be_bytes(raw.try_into()?),
        };
        Ok(Value(Secret::new(number.to_string().into_bytes())))
    }

    fn accepts(kind: &Type) -> bool {
        is_readable(kind)
    }
}

/// A parameter that the server reads as text of whatever type it wants.
pub(crate) struct Text<'a>(pub(crate) &'a str);

/// Any parameter may be a password.
impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
