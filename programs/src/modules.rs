//! The modules that live in the process that asks them, by their names in
//! `authmodulelist`.

use authlib::Module;
use authlib::userdb::Userdb;

use crate::places;

/// Makes the module called `name`; `None` if there is none of that name.
/// Opens nothing and starts nothing before the first question.
#[must_use]
pub fn called(name: &str) -> Option<Box<dyn Module>> {
    Some(match name {
        "authuserdb" => Box::new(Userdb::of(&places::userdb())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::called;

    #[test]
    fn a_module_has_the_name_it_is_called_by() {
        assert_eq!(called("authuserdb").unwrap().name(), "authuserdb");
        assert!(called("authnothing").is_none() && called("").is_none());
    }
}
