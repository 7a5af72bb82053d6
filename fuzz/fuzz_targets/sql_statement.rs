//! Own clauses of SQL modules: every variable is bound, or the clause is
//! refused; none is left as text.

#![no_main]

use authlib::sql::{Dialect, Statement, Variable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let known = [Variable::LocalPart, Variable::Domain, Variable::NewPassword];
    for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql] {
        let Ok(statement) = Statement::parse(text, dialect, &known) else { continue };
        let written: usize = known.iter().map(|variable| text.matches(variable.as_written()).count()).sum();
        assert_eq!(statement.variables().len(), written);
        assert!(!known.iter().any(|variable| statement.text().contains(variable.as_written())));
        // What has no variables stays as it is.
        if statement.variables().is_empty() {
            let again = Statement::parse(statement.text(), dialect, &known);
            assert_eq!(again.as_ref(), Ok(&statement));
        }
    }
});
