//! The statements that the settings of a module ask for.

use super::{Dialect, Statement, Variable};
use crate::account::Unavailable;
use crate::rcfile::Settings;

/// Variables of a query for one account.
const OF_QUERY: [Variable; 3] = [Variable::LocalPart, Variable::Domain, Variable::Service];
/// Variables of a change of one password.
const OF_CHANGE: [Variable; 5] = [
    Variable::LocalPart,
    Variable::Domain,
    Variable::Service,
    Variable::NewPassword,
    Variable::NewPasswordCrypt,
];

/// What a data base is asked, and the rule for bare user names.
#[derive(Debug)]
pub(super) struct Queries {
    /// username, cryptpw, clearpw, uid, gid, home, maildir, quota, fullname,
    /// options: of one account.
    pub(super) account: Statement,
    /// The same for the service `courier`, which delivers mail.
    pub(super) account_for_delivery: Statement,
    /// cryptpw, clearpw: of a few accounts; not where the query for an account
    /// is an administrator's own.
    pub(super) passwords: Option<Statement>,
    /// name, uid, gid, home, maildir, options: of all accounts. Or why there is
    /// none.
    pub(super) all: Result<Statement, Unavailable>,
    /// Changes one password. Or why it cannot be done.
    pub(super) change: Result<Statement, Unavailable>,
    /// `DEFAULT_DOMAIN`, without `@`.
    pub(super) default_domain: Option<String>,
}

impl Queries {
    /// The statements for `settings` whose names begin with `prefix`.
    ///
    /// If accounts cannot be listed or passwords not be changed, logins are as
    /// they are, but it is said.
    pub(super) fn new(settings: &Settings, prefix: &str, dialect: Dialect) -> Result<Self, Unavailable> {
        let source = Source { settings, prefix, dialect, fields: Fields::new(settings, prefix)? };
        let all = source.own("ENUMERATE", &OF_QUERY).transpose();
        let all = all.unwrap_or_else(|| source.generated(&[], |fields, table| fields.all(table)));
        let change = source.own("CHPASS", &OF_CHANGE).transpose().unwrap_or_else(|| source.change());
        let but_say = |what: &str, wrong: Unavailable| {
            settings.remark(format!("{what}: {wrong}"));
            wrong
        };
        let all = all.map_err(|wrong| but_say("accounts cannot be listed", wrong));
        let change = change.map_err(|wrong| but_say("passwords cannot be changed", wrong));
        let default_domain = settings.text("DEFAULT_DOMAIN")?.map(str::to_owned);
        let own = source.own("SELECT", &OF_QUERY)?;
        let (account, account_for_delivery, passwords) = match own {
            Some(own) => (own.clone(), own, None),
            None => source.account()?,
        };
        Ok(Queries { account, account_for_delivery, passwords, all, change, default_domain })
    }
}

/// Of what statements are made.
struct Source<'a> {
    settings: &'a Settings,
    prefix: &'a str,
    dialect: Dialect,
    fields: Fields<'a>,
}

impl Source<'_> {
    /// An administrator's own clause.
    fn own(&self, clause: &str, known: &[Variable]) -> Result<Option<Statement>, Unavailable> {
        let name = format!("{}{clause}_CLAUSE", self.prefix);
        let parse = |text: &str| {
            let parsed = Statement::parse(text, self.dialect, known);
            parsed.map_err(|flaw| Unavailable::new(format!("{name} cannot be used: {flaw}")))
        };
        self.settings.text(&name)?.map(parse).transpose()
    }

    /// What `text` makes of the fields and the table.
    fn generated(
        &self,
        known: &[Variable],
        text: impl Fn(&Fields<'_>, &str) -> String,
    ) -> Result<Statement, Unavailable> {
        let Source { prefix, dialect, fields, .. } = self;
        let table = fields.table.ok_or_else(|| Unavailable::new(format!("{prefix}USER_TABLE is not set")))?;
        let parsed = Statement::parse(&text(fields, table), *dialect, known);
        parsed.map_err(|flaw| Unavailable::new(format!("the fields make no statement: {flaw}")))
    }

    fn account(&self) -> Result<(Statement, Statement, Option<Statement>), Unavailable> {
        self.needs_password()?;
        let account =
            |maildir| self.generated(&[Variable::User], move |fields, table| fields.account(table, maildir));
        let passwords = self.generated(&[], |fields, table| fields.passwords(table))?;
        Ok((account(self.fields.maildir)?, account(self.fields.delivery)?, Some(passwords)))
    }

    fn change(&self) -> Result<Statement, Unavailable> {
        self.needs_password()?;
        let known = [Variable::User, Variable::NewPassword, Variable::NewPasswordCrypt];
        self.generated(&known, |fields, table| fields.change(table))
    }

    fn needs_password(&self) -> Result<(), Unavailable> {
        let Source { prefix, fields, .. } = self;
        match fields.crypt.or(fields.clear) {
            Some(_) => Ok(()),
            None => Err(Unavailable::new(format!(
                "neither {prefix}CRYPT_PWFIELD nor {prefix}CLEAR_PWFIELD is set"
            ))),
        }
    }
}

/// Table and columns. An empty string is SQL for a column that is not there.
struct Fields<'a> {
    table: Option<&'a str>,
    login: &'a str,
    crypt: Option<&'a str>,
    clear: Option<&'a str>,
    uid: &'a str,
    gid: &'a str,
    home: &'a str,
    maildir: &'a str,
    delivery: &'a str,
    quota: &'a str,
    name: &'a str,
    options: &'a str,
    condition: &'a str,
}

impl<'a> Fields<'a> {
    /// All are asked for, so that none is said to be unknown where an own
    /// clause makes it idle.
    fn new(settings: &'a Settings, prefix: &str) -> Result<Self, Unavailable> {
        let text = |name: &str| settings.text(&format!("{prefix}{name}"));
        let or = |name: &str, usual: &'static str| Ok(text(name)?.unwrap_or(usual));
        let maildir = or("MAILDIR_FIELD", "''")?;
        // The sample files have the first of these names, Courier's module for
        // MySQL reads the second.
        let delivery = text("DEFAULTDELIVERY")?.or(text("DEFAULTDELIVERY_FIELD")?);
        Ok(Fields {
            table: text("USER_TABLE")?,
            login: or("LOGIN_FIELD", "id")?,
            crypt: text("CRYPT_PWFIELD")?,
            clear: text("CLEAR_PWFIELD")?,
            uid: or("UID_FIELD", "uid")?,
            gid: or("GID_FIELD", "gid")?,
            home: or("HOME_FIELD", "home")?,
            maildir,
            delivery: delivery.unwrap_or(maildir),
            quota: or("QUOTA_FIELD", "''")?,
            name: or("NAME_FIELD", "''")?,
            options: or("AUXOPTIONS_FIELD", "''")?,
            condition: or("WHERE_CLAUSE", "1=1")?,
        })
    }

    fn password_columns(&self) -> String {
        format!("{}, {}", self.crypt.unwrap_or("''"), self.clear.unwrap_or("''"))
    }

    fn account(&self, table: &str, maildir: &str) -> String {
        let Fields { login, uid, gid, home, quota, name, options, condition, .. } = self;
        let passwords = self.password_columns();
        format!(
            "SELECT {login}, {passwords}, {uid}, {gid}, {home}, {maildir}, {quota}, {name}, {options} \
            FROM {table} WHERE {login} = $(user) AND ({condition})"
        )
    }

    fn passwords(&self, table: &str) -> String {
        format!("SELECT {} FROM {table} WHERE ({}) LIMIT 10", self.password_columns(), self.condition)
    }

    fn all(&self, table: &str) -> String {
        let Fields { login, uid, gid, home, maildir, options, condition, .. } = self;
        format!("SELECT {login}, {uid}, {gid}, {home}, {maildir}, {options} FROM {table} WHERE ({condition})")
    }

    /// Under the condition too (ledger 702).
    fn change(&self, table: &str) -> String {
        let Fields { login, condition, .. } = self;
        let clear = self.clear.map(|clear| format!("{clear} = $(newpass)"));
        let crypt = self.crypt.map(|crypt| format!("{crypt} = $(newpass_crypt)"));
        let set: Vec<String> = clear.into_iter().chain(crypt).collect();
        format!("UPDATE {table} SET {} WHERE {login} = $(user) AND ({condition})", set.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Queries;
    use crate::rcfile::Settings;
    use crate::sql::{Dialect, Variable};

    fn settings(text: &str) -> Settings {
        Settings::parse(format!("{text}\n##NAME: MARKER:0\n").as_bytes()).unwrap()
    }

    fn queries(text: &str) -> Result<Queries, String> {
        Queries::new(&settings(text), "SQLITE_", Dialect::Sqlite).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn without_further_settings_the_statements_are_couriers() {
        let queries = queries("SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt").unwrap();
        assert_eq!(
            queries.account.text(),
            "SELECT id, crypt, '', uid, gid, home, '', '', '', '' FROM passwd WHERE id = ? AND (1=1)"
        );
        assert_eq!(queries.account.variables(), [Variable::User]);
        assert_eq!(queries.account_for_delivery, queries.account);
        assert_eq!(queries.passwords.unwrap().text(), "SELECT crypt, '' FROM passwd WHERE (1=1) LIMIT 10");
        assert_eq!(queries.all.unwrap().text(), "SELECT id, uid, gid, home, '', '' FROM passwd WHERE (1=1)");
        let change = queries.change.unwrap();
        assert_eq!(change.text(), "UPDATE passwd SET crypt = ? WHERE id = ? AND (1=1)");
        assert_eq!(change.variables(), [Variable::NewPasswordCrypt, Variable::User]);
        assert_eq!(queries.default_domain, None);
    }

    #[test]
    fn every_setting_has_its_place() {
        let text = "SQLITE_USER_TABLE t\nSQLITE_CRYPT_PWFIELD a\nSQLITE_CLEAR_PWFIELD b\nDEFAULT_DOMAIN c\n\
            SQLITE_LOGIN_FIELD d\nSQLITE_UID_FIELD e\nSQLITE_GID_FIELD f\nSQLITE_HOME_FIELD g\n\
            SQLITE_NAME_FIELD h\nSQLITE_MAILDIR_FIELD i\nSQLITE_QUOTA_FIELD j\nSQLITE_AUXOPTIONS_FIELD k\n\
            SQLITE_WHERE_CLAUSE l OR m\nSQLITE_DEFAULTDELIVERY n\n";
        let settings = settings(text);
        let queries = Queries::new(&settings, "SQLITE_", Dialect::Sqlite).unwrap();
        assert_eq!(settings.remarks(), [""; 0]);
        assert_eq!(queries.default_domain.as_deref(), Some("c"));
        let account = "SELECT d, a, b, e, f, g, i, j, h, k FROM t WHERE d = ? AND (l OR m)";
        assert_eq!(queries.account.text(), account);
        assert_eq!(queries.account_for_delivery.text(), account.replace(" i,", " n,"));
        assert_eq!(queries.all.unwrap().text(), "SELECT d, e, f, g, i, k FROM t WHERE (l OR m)");
        let change = queries.change.unwrap();
        assert_eq!(change.text(), "UPDATE t SET b = ?, a = ? WHERE d = ? AND (l OR m)");
    }

    #[test]
    fn own_clauses_take_the_place_of_the_others() {
        let settings = settings(
            "SQLITE_SELECT_CLAUSE SELECT '$(local_part)@$(domain)', '$(service)'\n\
            SQLITE_ENUMERATE_CLAUSE SELECT x\nSQLITE_CHPASS_CLAUSE UPDATE y SET z = '$(newpass)'\nSQLITE_UID_FIELD u\n",
        );
        let queries = Queries::new(&settings, "SQLITE_", Dialect::Sqlite).unwrap();
        assert_eq!(settings.remarks(), [""; 0]);
        assert_eq!(queries.account.text(), "SELECT (? || '@' || ?), ?");
        assert_eq!((queries.account_for_delivery, queries.passwords), (queries.account, None));
        assert_eq!(queries.all.unwrap().text(), "SELECT x");
        assert_eq!(queries.change.unwrap().text(), "UPDATE y SET z = ?");
    }

    #[test]
    fn what_is_missing_or_cannot_be_bound_is_said() {
        for (text, said) in [
            ("", "neither SQLITE_CRYPT_PWFIELD nor SQLITE_CLEAR_PWFIELD is set"),
            ("SQLITE_CRYPT_PWFIELD a", "SQLITE_USER_TABLE is not set"),
            ("SQLITE_USER_TABLE t", "neither SQLITE_CRYPT_PWFIELD nor SQLITE_CLEAR_PWFIELD is set"),
            (
                "SQLITE_SELECT_CLAUSE SELECT a FROM $(domain)_users",
                "SQLITE_SELECT_CLAUSE cannot be used: $(domain) is part of a name, and cannot be bound there",
            ),
            (
                "SQLITE_SELECT_CLAUSE SELECT '$(newpass)'",
                "SQLITE_SELECT_CLAUSE cannot be used: it has a variable that is not known here",
            ),
            (
                "SQLITE_USER_TABLE t\nSQLITE_CRYPT_PWFIELD a\nSQLITE_WHERE_CLAUSE b = 'c",
                "the fields make no statement: a quote has no end",
            ),
        ] {
            assert_eq!(queries(text).unwrap_err(), said, "{text}");
        }
    }

    #[test]
    fn a_list_or_a_change_that_is_not_possible_leaves_logins_as_they_are() {
        let settings = settings("SQLITE_SELECT_CLAUSE SELECT 1\nSQLITE_CHPASS_CLAUSE UPDATE \"'$(newpass)\n");
        let queries = Queries::new(&settings, "SQLITE_", Dialect::Sqlite).unwrap();
        assert!(queries.all.is_err() && queries.change.is_err());
        assert_eq!(
            settings.remarks(),
            [
                "accounts cannot be listed: SQLITE_USER_TABLE is not set",
                "passwords cannot be changed: SQLITE_CHPASS_CLAUSE cannot be used: a quote has no end"
            ]
        );
    }
}
