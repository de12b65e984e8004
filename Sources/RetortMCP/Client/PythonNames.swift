/// Turns names from elsewhere into names that Python allows.
struct PythonNames {
    private var taken: Set<String> = []

    private static let keywords: Set<String> = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
        "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
        "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
    ]

    /// The names in order; names that are valid already keep their form, whatever comes before them.
    static func names(for originals: [String]) -> [String] {
        var names = PythonNames()
        names.taken = Set(originals.filter { $0 == identifier($0) })
        return originals.map { $0 == identifier($0) ? $0 : names.free(identifier($0)) }
    }

    private mutating func free(_ name: String) -> String {
        var (candidate, number) = (name, 2)
        while !taken.insert(candidate).inserted {
            candidate = "\(name)_\(number)"
            number += 1
        }
        return candidate
    }

    /// The nearest valid Python name.
    static func identifier(_ text: String) -> String {
        var name = String(
            text.unicodeScalars.map { scalar in
                scalar == "_" || scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                    ? Character(scalar) : "_"
            })
        if name.isEmpty || name.first?.isNumber == true { name = "_" + name }
        return keywords.contains(name) ? name + "_" : name
    }
}
