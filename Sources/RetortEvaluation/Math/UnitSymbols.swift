/// The symbols of the SI with their prefixes, the codes of currencies (ISO 4217), and a few counts, such as `ppm`. They
/// are read only behind or before a number, because many are letters that may also be variables.
enum UnitSymbols {
    /// What a unit measures, as powers of base kinds, and its size in base units.
    struct Size: Hashable {
        let dimensions: [String: Int]
        let factor: Rational
    }

    /// The size of a symbol, `kPa` or `CHF`; nil for anything else.
    static func size(_ symbol: String) -> Size? {
        if let size = whole[symbol] { return size }
        guard symbol.count > 1, let first = symbol.first, let exponent = prefixes[first],
            let size = prefixed[String(symbol.dropFirst())], let factor = Rational(10).power(exponent)
        else { return nil }
        return Size(dimensions: size.dimensions, factor: size.factor * factor)
    }

    /// Whether it is the code or the sign of a currency.
    static func isCurrency(_ symbol: String) -> Bool { currencies[symbol] != nil }

    /// The kind of money of each code and sign.
    static let currencies: [String: String] = {
        var kinds = [
            "$": "money", "USD": "money", "€": "euros", "EUR": "euros", "¥": "yen", "円": "yen", "JPY": "yen",
            "£": "GBP", "₹": "rupees", "INR": "rupees", "Rs": "rupees", "元": "CNY", "RMB": "CNY", "kr": "kr",
        ]
        let codes = """
            AED AUD BDT BRL CAD CHF CLP CNY COP CZK DKK EGP GBP HKD HUF IDR ILS ISK KES KRW LKR MXN MYR NGN NOK NZD PEN
            PHP PKR PLN RON RUB SAR SEK SGD THB TRY TWD UAH VND ZAR
            """
        for code in codes.split(whereSeparator: \.isWhitespace) { kinds[String(code)] = String(code) }
        return kinds
    }()

    private static let prefixes: [Character: Int] = [
        "k": 3, "M": 6, "G": 9, "T": 12, "m": -3, "µ": -6, "μ": -6, "n": -9, "p": -12,
    ]

    /// Units that take prefixes.
    private static let prefixed: [String: Size] = {
        func size(_ mass: Int, _ length: Int, _ time: Int, _ current: Int = 0, factor: Rational = 1) -> Size {
            let all = ["mass": mass, "length": length, "time": time, "current": current]
            return Size(dimensions: all.filter { $0.value != 0 }, factor: factor)
        }
        func own(_ kind: String) -> Size { Size(dimensions: [kind: 1], factor: 1) }
        let electronvolt = Rational(decimal: "1.602176634", exponent: -19) ?? 1
        return [
            "m": size(0, 1, 0), "g": size(1, 0, 0, factor: Rational(1, 1000)), "s": size(0, 0, 1),
            "L": size(0, 3, 0, factor: Rational(1, 1000)), "N": size(1, 1, -2), "J": size(1, 2, -2),
            "W": size(1, 2, -3), "Pa": size(1, -1, -2), "Hz": size(0, 0, -1), "A": size(0, 0, 0, 1),
            "V": size(1, 2, -3, -1), "Ω": size(1, 2, -3, -2),
            "eV": size(1, 2, -2, factor: electronvolt), "cal": size(1, 2, -2, factor: Rational(4184, 1000)),
            "bar": size(1, -1, -2, factor: 100_000), "K": own("temperature"), "mol": own("substance"),
            "M": own("molarity"),
            "B": own("bytes"), "bit": own("bits"), "Bq": own("activity"), "Sv": own("dose"), "lm": own("light"),
        ]
    }()

    /// Units without prefixes, and all that need none.
    private static let whole: [String: Size] = {
        var all = prefixed
        for symbol in ["M", "B"] { all[symbol] = nil }
        for (symbol, kind) in currencies { all[symbol] = Size(dimensions: [kind: 1], factor: 1) }
        for symbol in ["dB", "ppm", "ppb", "bpm", "fps", "px", "dpi", "rad", "lx", "cd"] {
            all[symbol] = Size(dimensions: [symbol: 1], factor: 1)
        }
        all["atm"] = Size(dimensions: ["mass": 1, "length": -1, "time": -2], factor: 101_325)
        all["h"] = Size(dimensions: ["time": 1], factor: 3600)
        // Other prefixes would make units of products such as `cs` and `hm`.
        all["hPa"] = Size(dimensions: ["mass": 1, "length": -1, "time": -2], factor: 100)
        all["dL"] = Size(dimensions: ["length": 3], factor: Rational(1, 10_000))
        all["cL"] = Size(dimensions: ["length": 3], factor: Rational(1, 100_000))
        return all
    }()
}
