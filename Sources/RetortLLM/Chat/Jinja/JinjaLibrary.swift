import Foundation

/// The predefined functions of the language.
enum JinjaLibrary {
    private static let longestRange = 100_000

    static var globals: [String: JinjaValue] {
        [
            "range": .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    try range(try interpreter.positional(arguments, of: "range"), interpreter)
                }),
            "namespace": .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    let members = try members(arguments, of: "namespace", interpreter)
                    _ = try interpreter.contained(.list(members.map(\.value)))
                    let namespace = JinjaNamespace()
                    for (name, value) in members { namespace.members[name] = value }
                    return .namespace(namespace)
                }),
            "dict": .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    try interpreter.contained(.dictionary(try members(arguments, of: "dict", interpreter)))
                }),
            "joiner": .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    let given = try JinjaGiven(arguments, for: ["sep"], of: "joiner", line: interpreter.line)
                    return joiner(given["sep"] ?? .text(", "))
                }),
            "raise_exception": .function(
                JinjaFunction { arguments, _ throws(JinjaError) in
                    throw .raised(arguments.positional.first?.written.string ?? "")
                }),
        ]
    }

    private static func range(_ values: [JinjaValue], _ interpreter: JinjaInterpreter) throws(JinjaError) -> JinjaValue
    {
        let bounds = values.compactMap(\.whole)
        guard bounds.count == values.count, 1...3 ~= bounds.count else {
            throw interpreter.failure("range() takes one to three whole numbers")
        }
        let step = bounds.count == 3 ? bounds[2] : 1
        guard step != 0 else { throw interpreter.failure("range()'s step cannot be 0") }
        let numbers = stride(from: bounds.count == 1 ? 0 : bounds[0], to: bounds[min(1, bounds.count - 1)], by: step)
        var elements: [JinjaValue] = []
        for number in numbers {
            elements.append(.integer(number))
            if elements.count > longestRange { throw .exhausted("a range of more than \(longestRange) numbers") }
        }
        return .list(elements)
    }

    /// The members that `dict(mapping, name=value)` asks for; the mapping may be pairs, too.
    private static func members(
        _ arguments: JinjaFunction.Arguments, of name: String, _ interpreter: JinjaInterpreter
    ) throws(JinjaError) -> [(key: String, value: JinjaValue)] {
        guard arguments.positional.count <= 1 else { throw interpreter.failure("\(name)() takes one mapping") }
        var all: [(key: String, value: JinjaValue)] = []
        func add(_ key: String, _ value: JinjaValue) {
            if let place = all.firstIndex(where: { $0.key == key }) {
                all[place].value = value
            } else {
                all.append((key, value))
            }
        }
        switch arguments.positional.first {
        case nil: break
        case .dictionary(let members)?: all = members
        case let pairs?:
            for pair in try interpreter.elements(of: pairs) {
                guard let two = pair.elements, two.count == 2 else {
                    throw interpreter.failure("\(name)() takes a mapping or pairs, not \(pairs.type)")
                }
                add(two[0].written.string, two[1])
            }
        }
        for (key, value) in arguments.named { add(key, value) }
        return all
    }

    /// Nothing when it is called first, the separator afterwards.
    private static func joiner(_ separator: JinjaValue) -> JinjaValue {
        let memory = JinjaRound.Memory()
        return .function(
            JinjaFunction { _, _ throws(JinjaError) in
                defer { memory.last = [] }
                return memory.last == nil ? .text("") : separator
            })
    }

    /// `strftime_now`: a given date, in UTC, in the format that a template asks for, as in Python.
    static func clock(_ date: Date) -> JinjaValue {
        .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                let given = try JinjaGiven(arguments, for: ["format"], of: "strftime_now", line: interpreter.line)
                guard let format = given.text("format") else {
                    throw interpreter.failure("strftime_now() needs a format")
                }
                guard let text = formatted(date, format.string) else {
                    throw interpreter.failure("strftime_now()'s format is too long")
                }
                return .text(text)
            })
    }

    /// C's `strftime`, with Python's `%f`; a date without a time zone has no `%z` and no `%Z`.
    /// - Returns: nil for a format that is too long.
    private static func formatted(_ date: Date, _ format: String) -> String? {
        guard format.utf8.count <= 1024 else { return nil }
        var (pattern, isDirective) = ("", false)
        for character in format {
            guard isDirective else {
                isDirective = character == "%"
                if !isDirective { pattern.append(character) }
                continue
            }
            isDirective = false
            switch character {
            case "f":
                let fraction = date.timeIntervalSince1970 - date.timeIntervalSince1970.rounded(.down)
                pattern += String(format: "%06d", min(Int(fraction * 1e6), 999_999))
            case "z", "Z": break
            default: pattern += "%\(character)"
            }
        }
        if isDirective { pattern += "%%" }
        var time = time_t(date.timeIntervalSince1970.rounded(.down))
        var parts = tm()
        gmtime_r(&time, &parts)
        let size = 1 << 15
        var buffer = [CChar](repeating: 0, count: size)
        let count = strftime(&buffer, size, pattern, &parts)
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
