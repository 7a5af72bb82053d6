//! What is bound in the place of a variable.

use zeroize::Zeroizing;

use super::{Statement, Variable};
use crate::account::Unavailable;
use crate::password;

/// The values of all variables, for one question.
pub(super) struct Values {
    service: String,
    user: String,
    local_part: String,
    domain: String,
    new_password: Zeroizing<String>,
    new_password_crypt: Zeroizing<String>,
}

impl Values {
    /// For `user` of `service`; a name without `@` gets `default_domain`.
    pub(super) fn new(service: &str, user: &str, default_domain: Option<&str>) -> Self {
        let (local_part, domain) = user.split_once('@').unwrap_or((user, default_domain.unwrap_or_default()));
        let whole = match default_domain {
            Some(domain) if !user.contains('@') => format!("{user}@{domain}"),
            _ => user.to_owned(),
        };
        Values {
            service: service.to_owned(),
            user: whole,
            local_part: local_part.to_owned(),
            domain: domain.to_owned(),
            new_password: Zeroizing::default(),
            new_password_crypt: Zeroizing::default(),
        }
    }

    /// Adds the new password `clear`, in the forms that `statement` makes use
    /// of; hashed in the kind of `old`.
    pub(super) fn set_password(
        &mut self,
        statement: &Statement,
        old: Option<&[u8]>,
        clear: &[u8],
    ) -> Result<(), Unavailable> {
        if statement.variables().contains(&Variable::NewPassword) {
            let text = std::str::from_utf8(clear);
            let text =
                text.map_err(|_| Unavailable::new("a password that is not UTF-8 cannot be kept in clear"))?;
            self.new_password = Zeroizing::new(text.to_owned());
        }
        if statement.variables().contains(&Variable::NewPasswordCrypt) {
            let hash = password::new::replacing(old.unwrap_or_default(), clear);
            self.new_password_crypt =
                Zeroizing::new(hash.map_err(|failed| Unavailable::new(failed.to_string()))?);
        }
        Ok(())
    }

    /// Those that are bound in `statement`, place after place.
    pub(super) fn of(&self, statement: &Statement) -> Vec<&str> {
        statement.variables().iter().map(|variable| self.value(*variable)).collect()
    }

    fn value(&self, variable: Variable) -> &str {
        match variable {
            Variable::User => &self.user,
            Variable::LocalPart => &self.local_part,
            Variable::Domain => &self.domain,
            Variable::Service => &self.service,
            Variable::NewPassword => &self.new_password,
            Variable::NewPasswordCrypt => &self.new_password_crypt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Values;
    use crate::password;
    use crate::sql::{Dialect, Statement, Variable};

    fn statement(text: &str) -> Statement {
        let known = [
            Variable::User,
            Variable::LocalPart,
            Variable::Domain,
            Variable::Service,
            Variable::NewPassword,
            Variable::NewPasswordCrypt,
        ];
        Statement::parse(text, Dialect::Sqlite, &known).unwrap()
    }

    #[test]
    fn a_name_is_divided_at_its_first_at() {
        let statement = statement("$(user) $(local_part) $(domain) $(service)");
        for (user, default, expected) in [
            ("a@b@c", None, ["a@b@c", "a", "b@c", "pop3"]),
            ("a", None, ["a", "a", "", "pop3"]),
            ("a", Some("d"), ["a@d", "a", "d", "pop3"]),
            ("a@b", Some("d"), ["a@b", "a", "b", "pop3"]),
            ("a@", Some("d"), ["a@", "a", "", "pop3"]),
        ] {
            assert_eq!(Values::new("pop3", user, default).of(&statement), expected);
        }
    }

    #[test]
    fn a_new_password_is_made_only_where_it_is_used() {
        let mut values = Values::new("pop3", "a", None);
        values.set_password(&statement("$(newpass)"), None, b"new").unwrap();
        assert_eq!(values.of(&statement("$(newpass) $(newpass_crypt)")), ["new", ""]);
        let crypt = statement("$(newpass_crypt)");
        values.set_password(&crypt, Some(b"{PLAIN}old"), b"n\xffw").unwrap();
        let stored = values.of(&crypt).concat();
        assert!(stored.starts_with("{CRYPT}$y$") && password::check(stored.as_bytes(), b"n\xffw"));
        assert!(values.set_password(&statement("$(newpass)"), None, b"n\xffw").is_err());
    }
}
