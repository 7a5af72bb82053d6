//! Names in Courier's order (maildir.md 3), and where in it a name is.

use std::cmp::Ordering;

use crate::name;

/// Which of two names comes first.
pub(crate) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    name::leading_number(one).cmp(&name::leading_number(other)).then_with(|| name::compare(one, other))
}

/// Things with names that stand in order, each name once.
pub(crate) trait InOrder {
    /// How many there are.
    fn count(&self) -> usize;

    /// The name at `index`, which is below the count.
    fn name_at(&self, index: usize) -> &[u8];

    /// Its leading number.
    fn number_at(&self, index: usize) -> i64 {
        name::leading_number(self.name_at(index))
    }

    /// Where exactly this name is, or where it would be.
    fn look_for(&self, name: &[u8]) -> Result<usize, usize> {
        let number = name::leading_number(name);
        self.first_from(number, name).map_or_else(Err, |index| match self.name_at(index) == name {
            true => Ok(index),
            false => Err(index),
        })
    }

    /// Where the names with this unique name are: the one without `:`, then
    /// those with it.
    fn with_unique(&self, unique: &[u8]) -> impl Iterator<Item = usize> {
        let colon = [unique, b":"].concat();
        // Nothing that has this unique name and a `:` sorts before `unique:`.
        let start = self.first_from(name::leading_number(unique), &colon).unwrap_or_else(|end| end);
        let has_unique = move |index: &usize| self.name_at(*index).starts_with(&colon);
        self.look_for(unique).ok().into_iter().chain((start..self.count()).take_while(has_unique))
    }

    /// The first that does not stand before this name; the error is the count, if
    /// there is none.
    fn first_from(&self, number: i64, name: &[u8]) -> Result<usize, usize> {
        let (mut start, mut end) = (0, self.count());
        while start < end {
            let middle = start.midpoint(end);
            let order = self.number_at(middle).cmp(&number);
            match order.then_with(|| name::compare(self.name_at(middle), name)) {
                Ordering::Less => start = middle + 1,
                Ordering::Equal | Ordering::Greater => end = middle,
            }
        }
        if start < self.count() { Ok(start) } else { Err(start) }
    }
}
