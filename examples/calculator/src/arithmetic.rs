//! Evaluates expressions with `+ - * /` and parentheses.

/// The value of an expression.
///
/// # Errors
/// A message that says what is wrong with it.
///
/// ```
/// assert_eq!(calculator::arithmetic::evaluate("1 + 2 * (3 - 1)"), Ok(5.0));
/// assert!(calculator::arithmetic::evaluate("1 +").is_err());
/// ```
pub fn evaluate(text: &str) -> Result<f64, String> {
    let mut parser = Parser { rest: text.trim_start(), depth: 0 };
    let value = parser.sum()?;
    match parser.rest.chars().next() {
        None => Ok(value),
        Some(odd) => Err(format!("I do not understand {odd:?}")),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.take('+') {
                value += self.product()?;
            } else if self.take('-') {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.factor()?;
        loop {
            if self.take('*') {
                value *= self.factor()?;
            } else if self.take('/') {
                value /= self.factor()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn factor(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > 200 {
            return Err("that is nested too deeply".to_owned());
        }
        let value = if self.take('-') {
            -self.factor()?
        } else if self.take('(') {
            let value = self.sum()?;
            if !self.take(')') {
                return Err("a ) is missing".to_owned());
            }
            value
        } else {
            self.number()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn number(&mut self) -> Result<f64, String> {
        let length =
            self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(length);
        let number =
            digits.parse().map_err(|_| format!("a number is missing at {:?}", self.rest))?;
        self.rest = rest.trim_start();
        Ok(number)
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn precedence_and_signs() {
        assert_eq!(evaluate("2 + 3 * 4 - 10 / 5"), Ok(12.0));
        assert_eq!(evaluate(" -(1.5 + .5) * 2"), Ok(-4.0));
        assert_eq!(evaluate("7"), Ok(7.0));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, problem) in [
            ("", "missing"),
            ("1 +", "missing"),
            ("(1", ") is missing"),
            ("1 2", "understand"),
            ("x", "missing"),
        ] {
            let error = evaluate(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(evaluate(&"(".repeat(100_000)).unwrap_err().contains("deeply"));
    }
}
