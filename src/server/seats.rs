//! A list in which places become free and are taken again.

/// Values by the number of their place.
#[derive(Debug)]
pub(super) struct Seats<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Seats<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Seats<T> {
    /// Values that are there.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Puts a value in a free place and tells which one.
    pub(super) fn enter(&mut self, value: T) -> usize {
        let place = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(place) {
            Some(slot) => *slot = Some(value),
            None => self.places.push(Some(value)),
        }
        place
    }

    /// Takes the value of a place out.
    pub(super) fn leave(&mut self, place: usize) {
        if self.places.get_mut(place).and_then(Option::take).is_some() {
            self.free.push(place);
        }
    }

    /// Places, whether or not a value is there.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// The values in so many places.
    pub(super) fn part(&self, from: usize, most: usize) -> impl Iterator<Item = &T> {
        self.places.iter().skip(from).take(most).flatten()
    }

    /// The values that are there.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_again() {
        let mut seats = Seats::default();
        let (a, b) = (seats.enter('a'), seats.enter('b'));
        seats.leave(a);
        seats.leave(a);
        assert_eq!((seats.len(), seats.enter('c'), seats.enter('d')), (1, a, b + 1));
        assert_eq!(seats.iter().collect::<String>(), "cbd");
        seats.leave(b);
        let part = |from, most| seats.part(from, most).collect::<String>();
        assert_eq!(
            (seats.places(), part(0, 2), part(1, 9), part(3, 9)),
            (3, "c".into(), "d".into(), String::new())
        );
    }
}
