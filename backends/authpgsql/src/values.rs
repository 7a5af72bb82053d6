//! Parameters and columns, as text.

use authlib::Secret;
use authlib::sql::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Column, Error};

/// `text` with its columns cast to text where they are of another type, if any
/// is: the server writes a value as text better than we could read it.
pub(crate) fn with_text_columns(text: &str, columns: &[Column]) -> Option<String> {
    if columns.iter().all(|column| is_sent_as_text(column.type_())) {
        return None;
    }
    let names: Vec<String> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
    let chosen: Vec<String> = names
        .iter()
        .zip(columns)
        .map(|(name, column)| match is_sent_as_text(column.type_()) {
            // As it is: a cast would take the blanks off a CHAR.
            true => format!("q.{name}"),
            false => format!("CAST(q.{name} AS text)"),
        })
        .collect();
    // A line of its own, since the text may end in a comment.
    Some(format!("SELECT {} FROM (\n{text}\n) AS q ({})", chosen.join(", "), names.join(", ")))
}

/// Whether the binary form of this type is its text.
fn is_sent_as_text(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Domain(inner) => is_sent_as_text(inner),
        Kind::Enum(_) => true,
        _ => {
            [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN].contains(kind)
                || kind.name() == "citext"
        }
    }
}

/// The columns of `row`, which are text.
pub(crate) fn taken(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let column =
        |index| Ok(row.try_get::<_, Option<Octets<'_>>>(index)?.map(|value| Secret::copy_of(value.0)));
    Ok(Row::new((0..row.len()).map(column).collect::<Result<_, Error>>()?))
}

/// A value as it was sent.
struct Octets<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Octets<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Octets(raw))
    }

    fn accepts(kind: &Type) -> bool {
        is_sent_as_text(kind)
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
