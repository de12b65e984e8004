import Foundation

/// The predefined parts of the language: functions, methods of strings and mappings, and the variables of a loop.
enum JinjaLibrary {
    private static let longestRange = 100_000

    static var globals: [String: JinjaValue] {
        [
            "range": .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    let bounds = arguments.positional.compactMap(\.whole)
                    guard bounds.count == arguments.positional.count, 1...3 ~= bounds.count else {
                        throw interpreter.failure("range() takes one to three whole numbers")
                    }
                    let step = bounds.count == 3 ? bounds[2] : 1
                    guard step != 0 else { throw interpreter.failure("range()'s step cannot be 0") }
                    let numbers = stride(
                        from: bounds.count == 1 ? 0 : bounds[0], to: bounds[min(1, bounds.count - 1)], by: step)
                    var values: [JinjaValue] = []
                    for number in numbers {
                        values.append(.integer(number))
                        if values.count > longestRange {
                            throw .exhausted("a range of more than \(longestRange) numbers")
                        }
                    }
                    return .list(values)
                }),
            "namespace": .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    _ = try interpreter.contained(.list(arguments.named.map(\.value)))
                    let namespace = JinjaNamespace()
                    for (name, value) in arguments.named { namespace.members[name] = value }
                    return .namespace(namespace)
                }),
            "dict": .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    try interpreter.contained(.dictionary(arguments.named.map { (key: $0.name, value: $0.value) }))
                }),
            "raise_exception": .function(
                JinjaFunction { arguments, _ throws(JinjaError) in
                    throw .raised(arguments.positional.first?.written.string ?? "")
                }),
        ]
    }

    /// `strftime_now`: a given date in the format that a template asks for, as in Python.
    static func clock(_ date: Date) -> JinjaValue {
        .function(
            JinjaFunction { arguments, _ throws(JinjaError) in
                .text(formatted(date, arguments.positional.first?.written.string ?? "%Y-%m-%d"))
            })
    }

    private static func formatted(_ date: Date, _ format: String) -> String {
        let patterns: [Character: String] = [
            "Y": "yyyy", "y": "yy", "m": "MM", "d": "dd", "B": "MMMM", "b": "MMM", "A": "EEEE", "a": "EEE", "H": "HH",
            "M": "mm", "S": "ss", "I": "hh", "p": "a", "j": "DDD",
        ]
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        var text = ""
        var isDirective = false
        for character in format {
            if isDirective {
                if let pattern = patterns[character] {
                    formatter.dateFormat = pattern
                    text += formatter.string(from: date)
                } else {
                    text += character == "%" ? "%" : "%\(character)"
                }
                isDirective = false
            } else if character == "%" {
                isDirective = true
            } else {
                text.append(character)
            }
        }
        return text
    }

    /// The variable `loop` in one round.
    static func loop(_ elements: [JinjaValue], at index: Int) -> JinjaValue {
        .dictionary([
            (key: "index", value: .integer(index + 1)), (key: "index0", value: .integer(index)),
            (key: "revindex", value: .integer(elements.count - index)),
            (key: "revindex0", value: .integer(elements.count - index - 1)),
            (key: "first", value: .bool(index == 0)), (key: "last", value: .bool(index == elements.count - 1)),
            (key: "length", value: .integer(elements.count)),
            (key: "previtem", value: index > 0 ? elements[index - 1] : .undefined("previtem")),
            (key: "nextitem", value: index + 1 < elements.count ? elements[index + 1] : .undefined("nextitem")),
            (
                key: "cycle",
                value: .function(
                    JinjaFunction { arguments, interpreter throws(JinjaError) in
                        guard !arguments.positional.isEmpty else { throw interpreter.failure("cycle() needs values") }
                        return arguments.positional[index % arguments.positional.count]
                    })
            ),
        ])
    }

    // MARK: Methods

    /// A method of a string, mapping or list; nil when there is none of that name.
    static func method(_ name: String, of value: JinjaValue) -> JinjaValue? {
        switch value {
        case .text(let text): return method(name, of: text)
        case .dictionary(let members): return method(name, of: members)
        default: return nil
        }
    }

    private static func method(_ name: String, of members: [(key: String, value: JinjaValue)]) -> JinjaValue? {
        let result: JinjaValue
        switch name {
        case "items": result = .list(members.map { .list([.text($0.key), $0.value]) })
        case "keys": result = .list(members.map { .text($0.key) })
        case "values": result = .list(members.map(\.value))
        case "get":
            return .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    guard let key = arguments.positional.first?.written.string else {
                        throw interpreter.failure("get() needs a key")
                    }
                    return members.first { $0.key == key }?.value
                        ?? (arguments.positional.count > 1 ? arguments.positional[1] : JinjaValue.none)
                })
        default: return nil
        }
        return .function(JinjaFunction { _, _ throws(JinjaError) in result })
    }

    private typealias TextMethod = @Sendable (MarkedText, [JinjaValue]) -> JinjaValue?

    private static let textMethods: [String: TextMethod] = [
        "strip": { .text($0.stripped(text($1, 0))) },
        "lstrip": { .text($0.stripped(text($1, 0), right: false)) },
        "rstrip": { .text($0.stripped(text($1, 0), left: false)) },
        "upper": { text, _ in .text(text.uppercased) },
        "lower": { text, _ in .text(text.lowercased) },
        "title": { text, _ in .text(text.titled) },
        "capitalize": { text, _ in .text(text.capitalized) },
        "splitlines": { text, _ in .list(text.lines().map { .text($0) }) },
        "isdigit": { text, _ in
            .bool(!text.isEmpty && text.scalars.allSatisfy { $0.properties.numericType == .decimal })
        },
        "startswith": { text, arguments in affixes(arguments).map { .bool($0.contains { text.hasPrefix($0) }) } },
        "endswith": { text, arguments in affixes(arguments).map { .bool($0.contains { text.hasSuffix($0) }) } },
        "split": { split($0, $1, fromRight: false) },
        "rsplit": { split($0, $1, fromRight: true) },
        "replace": { whole, arguments in
            guard let old = text(arguments, 0), let new = text(arguments, 1) else { return nil }
            let limit = arguments.count > 2 ? arguments[2].whole : nil
            return whole.replacing(old, with: new, limit: limit, within: JinjaInterpreter.longestText).map { .text($0) }
        },
        "find": { whole, arguments in text(arguments, 0).map { .integer(whole.ranges(of: $0).first?.lowerBound ?? -1) }
        },
        "count": { whole, arguments in text(arguments, 0).map { .integer(whole.ranges(of: $0).count) } },
        "removeprefix": { whole, arguments in
            text(arguments, 0).map { .text(whole.hasPrefix($0) ? whole[$0.count..<whole.count] : whole) }
        },
        "removesuffix": { whole, arguments in
            text(arguments, 0).map { .text(whole.hasSuffix($0) ? whole[0..<whole.count - $0.count] : whole) }
        },
        "join": { separator, arguments in
            guard case .list(let parts)? = arguments.first else { return nil }
            return JinjaValue.joined(parts.map(\.written), separator, within: JinjaInterpreter.longestText)
                .map { .text($0) }
        },
    ]

    private static func method(_ name: String, of whole: MarkedText) -> JinjaValue? {
        guard let method = textMethods[name] else { return nil }
        return .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                try interpreter.step(at: interpreter.line, cost: whole.count / 64)
                guard let result = method(whole, arguments.positional + arguments.named.map(\.value)) else {
                    throw interpreter.failure("\(name)() does not take these arguments")
                }
                return result
            })
    }

    private static func text(_ arguments: [JinjaValue], _ position: Int) -> MarkedText? {
        guard position < arguments.count, case .text(let text) = arguments[position] else { return nil }
        return text
    }

    /// A text, or a tuple of texts.
    private static func affixes(_ arguments: [JinjaValue]) -> [MarkedText]? {
        switch arguments.first {
        case .text(let affix): return [affix]
        case .list(let all): return all.compactMap { if case .text(let affix) = $0 { affix } else { nil } }
        default: return nil
        }
    }

    private static func split(_ whole: MarkedText, _ arguments: [JinjaValue], fromRight: Bool) -> JinjaValue? {
        let limit = arguments.count > 1 ? arguments[1].whole.flatMap { $0 < 0 ? nil : $0 } : nil
        guard let separator = text(arguments, 0) else { return .list(whole.words().map { .text($0) }) }
        guard !separator.isEmpty else { return nil }
        return .list(whole.split(by: separator, limit: limit, fromRight: fromRight).map { .text($0) })
    }
}
