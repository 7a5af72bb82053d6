//! An object of JSON whose members say something about a token, read strictly:
//! what can be understood in two ways is not understood.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// Moments later than this are a slip (the year 9999).
const LATEST: f64 = 253_402_300_799.0;

/// Members of a JSON object, none of them twice (RFC 7519 section 4, RFC 8725
/// section 3.10).
pub struct Claims(BTreeMap<String, Value>);

impl Claims {
    /// The object that `octets` are.
    ///
    /// # Errors
    /// They are no JSON in UTF-8, no object, or have a member twice.
    pub fn parse(octets: &[u8]) -> Result<Self, &'static str> {
        serde_json::from_slice(octets).map_err(|_| "is no object of JSON, or has a member twice")
    }

    /// Whether there is a member called `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The member called `name`, whatever it is.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The text called `name`, if there is such a member.
    ///
    /// # Errors
    /// It is no text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, NotThat> {
        self.get(name).map(|value| value.as_str().ok_or(NotThat)).transpose()
    }

    /// The moment called `name`, in seconds since 1970 (RFC 7519 section 2,
    /// NumericDate), if there is such a member.
    ///
    /// # Errors
    /// It is no number, or no moment.
    pub fn moment(&self, name: &str) -> Result<Option<f64>, NotThat> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let is_moment = |seconds: &f64| (0.0..=LATEST).contains(seconds);
        value.as_f64().filter(is_moment).map(Some).ok_or(NotThat)
    }

    /// The texts called `name`: one, or a list of them (RFC 7519 section 4.1.3).
    ///
    /// # Errors
    /// It is neither.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, NotThat> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(list)) => list.iter().map(|value| value.as_str().ok_or(NotThat)).collect(),
            Some(_) => Err(NotThat),
        }
    }
}

/// A member has another type than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThat;

/// Names only: the values are somebody's.
impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Claims;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(Claims(members))
    }
}

#[cfg(test)]
mod tests {
    use super::{Claims, NotThat};

    #[test]
    fn what_can_be_understood_in_two_ways_is_not_understood() {
        for octets in [
            b"{\"sub\":\"a\",\"sub\":\"b\"}".as_slice(),
            b"{\"sub\":\"a\",\"s\\u0075b\":\"a\"}",
            b"{\"sub\":\"\xff\"}",
            b"{\"sub\":\"a\"} {}",
            b"{\"sub\":\"a\"",
            b"{\"n\":1e999}",
            b"[]",
            b"\"a\"",
            b"",
        ] {
            assert!(Claims::parse(octets).is_err(), "{octets:?}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(4000), "]".repeat(4000));
        assert!(Claims::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn members_have_their_types() {
        let claims = Claims::parse(
            br#"{"t":"x","l":["x","y"],"n":7,"f":7.5,"m":-1,"big":1e300,"mixed":["x",1],"null":null}"#,
        )
        .unwrap();
        assert_eq!(claims.text("t"), Ok(Some("x")));
        assert_eq!(
            (claims.text("absent"), claims.text("n"), claims.text("null")),
            (Ok(None), Err(NotThat), Err(NotThat))
        );
        assert_eq!((claims.moment("n"), claims.moment("f")), (Ok(Some(7.0)), Ok(Some(7.5))));
        assert_eq!(claims.moment("absent"), Ok(None));
        for name in ["t", "m", "big", "null"] {
            assert_eq!(claims.moment(name), Err(NotThat), "{name}");
        }
        assert_eq!(claims.texts("l"), Ok(vec!["x", "y"]));
        assert_eq!(claims.texts("t"), Ok(vec!["x"]));
        assert_eq!((claims.texts("mixed"), claims.texts("n")), (Err(NotThat), Err(NotThat)));
        assert!(!format!("{claims:?}").contains('7'));
    }
}
