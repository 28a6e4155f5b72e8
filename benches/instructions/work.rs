//! What a benchmark measures: one thing, done a thousand times, with everything made ready before.

/// Something that is done [`TIMES`] times when it is called.
pub(crate) type Work = Box<dyn FnMut()>;

/// How often a benchmark does its one thing; `gate.py` divides by it.
pub(crate) const TIMES: usize = 1000;

/// How often it is done before: enough for what is made once or grows, such as connections, buffers and lazy tables.
pub(crate) const WARM_UP: usize = 100;

/// Prepares `act` on things that `make` makes from their number. Making them and dropping what comes out is not measured.
pub(crate) fn work<T: 'static, R: 'static>(
    make: impl FnMut(usize) -> T,
    mut act: impl FnMut(T) -> R + 'static,
) -> Work {
    let mut things = (0..WARM_UP + TIMES)
        .map(make)
        .collect::<Vec<_>>()
        .into_iter();
    let mut results = Vec::with_capacity(WARM_UP + TIMES);
    results.extend(things.by_ref().take(WARM_UP).map(&mut act));
    Box::new(move || results.extend(things.by_ref().map(&mut act)))
}
