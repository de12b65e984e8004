/// The methods of strings, mappings and lists.
extension JinjaLibrary {
    /// A method; nil when there is none of that name.
    static func method(_ name: String, of value: JinjaValue) -> JinjaValue? {
        switch value {
        case .text(let text): method(name, of: text)
        case .dictionary(let members): method(name, of: members)
        case .list(let elements), .tuple(let elements, _): method(name, of: elements)
        default: nil
        }
    }

    /// Names that a sandbox hides, because they change the mapping.
    static let changing: Set<String> = ["clear", "pop", "popitem", "setdefault", "update", "fromkeys"]

    private static func method(_ name: String, of members: [(key: String, value: JinjaValue)]) -> JinjaValue? {
        let result: JinjaValue
        switch name {
        case "items": result = .list(members.map { .tuple([.text($0.key), $0.value]) })
        case "keys": result = .list(members.map { .text($0.key) })
        case "values": result = .list(members.map(\.value))
        case "copy": result = .dictionary(members)
        case "get":
            return .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    let given = try JinjaGiven(arguments, for: ["key", "default"], of: "get", line: interpreter.line)
                    guard let key = given["key"]?.written.string else { throw interpreter.failure("get() needs a key") }
                    return members.first { $0.key == key }?.value ?? given["default"] ?? JinjaValue.none
                })
        default: return nil
        }
        return .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                _ = try JinjaGiven(arguments, for: [], of: name, line: interpreter.line)
                return result
            })
    }

    private static func method(_ name: String, of elements: [JinjaValue]) -> JinjaValue? {
        guard ["count", "index"].contains(name) else { return nil }
        return .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                let given = try JinjaGiven(arguments, for: ["value"], of: name, line: interpreter.line)
                guard let value = given["value"] else { throw interpreter.failure("\(name)() needs a value") }
                if name == "count" { return .integer(elements.count { $0.equals(value) }) }
                guard let index = elements.firstIndex(where: { $0.equals(value) }) else {
                    throw interpreter.failure("the value is not in the list")
                }
                return .integer(index)
            })
    }

    // MARK: Strings

    private typealias TextMethod = @Sendable (MarkedText, JinjaGiven) -> JinjaValue?
    /// The names of a method's parameters, and what it does; nil for arguments that it does not take.
    private typealias Entry = (parameters: [String], call: TextMethod)

    private static func method(_ name: String, of whole: MarkedText) -> JinjaValue? {
        if name == "format" {
            return .function(
                JinjaFunction { arguments, interpreter throws(JinjaError) in
                    .text(try JinjaFormat(line: interpreter.line).braces(whole, arguments, interpreter))
                })
        }
        guard let method = letterMethods[name] ?? searchMethods[name] ?? cutMethods[name] ?? layoutMethods[name] else {
            return nil
        }
        return .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                try interpreter.step(at: interpreter.line, cost: whole.count / 64)
                let given = try JinjaGiven(arguments, for: method.parameters, of: name, line: interpreter.line)
                guard let result = method.call(whole, given) else {
                    throw interpreter.failure("\(name)() does not take these arguments")
                }
                return result
            })
    }

    private static let letterMethods: [String: Entry] = [
        "upper": ([], { text, _ in .text(text.uppercased) }),
        "lower": ([], { text, _ in .text(text.lowercased) }),
        "casefold": ([], { text, _ in .text(text.lowercased) }),
        "title": ([], { text, _ in .text(text.titled) }),
        "capitalize": ([], { text, _ in .text(text.capitalized) }),
        "isupper": ([], { text, _ in .bool(text.isUpper) }),
        "islower": ([], { text, _ in .bool(text.isLower) }),
        "isalpha": ([], { text, _ in .bool(text.consists { $0.isLetterInPython }) }),
        "isalnum": (
            [], { text, _ in .bool(text.consists { $0.isLetterInPython || $0.properties.numericType != nil }) }
        ),
        "isspace": ([], { text, _ in .bool(text.consists { $0.isBlankInPython }) }),
        "isdecimal": ([], { text, _ in .bool(text.consists { $0.properties.numericType == .decimal }) }),
        "isnumeric": ([], { text, _ in .bool(text.consists { $0.properties.numericType != nil }) }),
        "isdigit": (
            [],
            { text, _ in .bool(text.consists { [.decimal, .digit].contains($0.properties.numericType) }) }
        ),
    ]

    private static let bounds = ["start", "end"]

    private static let searchMethods: [String: Entry] = [
        "startswith": (
            ["prefix"] + bounds,
            { whole, given in
                guard let (text, _) = within(whole, given), let affixes = affixes(given["prefix"]) else { return nil }
                return .bool(affixes.contains { text.hasPrefix($0) })
            }
        ),
        "endswith": (
            ["suffix"] + bounds,
            { whole, given in
                guard let (text, _) = within(whole, given), let affixes = affixes(given["suffix"]) else { return nil }
                return .bool(affixes.contains { text.hasSuffix($0) })
            }
        ),
        "find": (["sub"] + bounds, { place(in: $0, $1, fromRight: false).map { .integer($0) } }),
        "rfind": (["sub"] + bounds, { place(in: $0, $1, fromRight: true).map { .integer($0) } }),
        "index": (["sub"] + bounds, { place(in: $0, $1, fromRight: false).flatMap { $0 < 0 ? nil : .integer($0) } }),
        "rindex": (["sub"] + bounds, { place(in: $0, $1, fromRight: true).flatMap { $0 < 0 ? nil : .integer($0) } }),
        "count": (
            ["sub"] + bounds,
            { whole, given in
                guard let part = given.text("sub"), let (text, _) = within(whole, given) else { return nil }
                return .integer(part.isEmpty ? text.count + 1 : text.ranges(of: part).count)
            }
        ),
    ]

    private static let cutMethods: [String: Entry] = [
        "strip": (["chars"], { stripped($0, $1, left: true, right: true) }),
        "lstrip": (["chars"], { stripped($0, $1, left: true, right: false) }),
        "rstrip": (["chars"], { stripped($0, $1, left: false, right: true) }),
        "split": (["sep", "maxsplit"], { split($0, $1, fromRight: false) }),
        "rsplit": (["sep", "maxsplit"], { split($0, $1, fromRight: true) }),
        "partition": (["sep"], { partition($0, $1, fromRight: false) }),
        "rpartition": (["sep"], { partition($0, $1, fromRight: true) }),
        "splitlines": (
            ["keepends"],
            { text, given in .list(text.lines(keepingEnds: given.isTrue("keepends")).map { .text($0) }) }
        ),
        "removeprefix": (
            ["prefix"],
            { whole, given in
                given.text("prefix").map { .text(whole.hasPrefix($0) ? whole[$0.count..<whole.count] : whole) }
            }
        ),
        "removesuffix": (
            ["suffix"],
            { whole, given in
                given.text("suffix").map { .text(whole.hasSuffix($0) ? whole[0..<whole.count - $0.count] : whole) }
            }
        ),
        "replace": (
            ["old", "new", "count"],
            { whole, given in
                guard let old = given.text("old"), let new = given.text("new") else { return nil }
                return whole.replacing(
                    old, with: new, limit: given["count"]?.whole, within: JinjaInterpreter.longestText
                ).map { .text($0) }
            }
        ),
        "join": (
            ["iterable"],
            { separator, given in
                let parts: [MarkedText]
                switch given["iterable"] {
                case .list(let all)?, .tuple(let all, _)?: parts = all.map(\.written)
                case .dictionary(let members)?: parts = members.map { MarkedText($0.key) }
                case .text(let text)?: parts = (0..<text.count).map { text[$0..<$0 + 1] }
                default: return nil
                }
                return JinjaValue.joined(parts, separator, within: JinjaInterpreter.longestText).map { .text($0) }
            }
        ),
    ]

    private static let layoutMethods: [String: Entry] = [
        "ljust": (["width", "fillchar"], { padded($0, $1) { text, width, fill in text.padded(to: width, fill) } }),
        "rjust": (
            ["width", "fillchar"],
            { padded($0, $1) { text, width, fill in text.padded(to: width, fill, atStart: true) } }
        ),
        "center": (
            ["width", "fillchar"], { padded($0, $1) { text, width, fill in text.centred(in: width, fill: fill) } }
        ),
        "zfill": (
            ["width"],
            { text, given in
                padded(text, given) { text, width, _ in
                    let sign = text.scalars.first == "-" || text.scalars.first == "+" ? 1 : 0
                    return text[0..<sign] + text[sign..<text.count].padded(to: width - sign, "0", atStart: true)
                }
            }
        ),
    ]

    private static func padded(
        _ text: MarkedText, _ given: JinjaGiven, _ body: (MarkedText, Int, Unicode.Scalar) -> MarkedText
    ) -> JinjaValue? {
        guard let width = given["width"]?.whole, width <= 1 << 16 else { return nil }
        guard given["fillchar"] == nil || given.text("fillchar")?.count == 1 else { return nil }
        return .text(body(text, width, given.text("fillchar")?.scalars.first ?? " "))
    }

    private static func stripped(_ text: MarkedText, _ given: JinjaGiven, left: Bool, right: Bool) -> JinjaValue? {
        guard given.some("chars") == nil || given.text("chars") != nil else { return nil }
        return .text(text.stripped(given.text("chars"), left: left, right: right))
    }

    /// The part of a text that `start` and `end` name, and where it begins.
    private static func within(_ whole: MarkedText, _ given: JinjaGiven) -> (text: MarkedText, start: Int)? {
        func bound(_ name: String, _ usual: Int) -> Int? {
            guard let value = given.some(name) else { return usual }
            guard let index = value.whole else { return nil }
            return min(max(index < 0 ? index + whole.count : index, 0), whole.count)
        }
        guard let start = bound("start", 0), let end = bound("end", whole.count) else { return nil }
        return (whole[start..<max(start, end)], start)
    }

    private static func place(in whole: MarkedText, _ given: JinjaGiven, fromRight: Bool) -> Int? {
        guard let part = given.text("sub"), let (text, start) = within(whole, given) else { return nil }
        if part.isEmpty { return start + (fromRight ? text.count : 0) }
        guard fromRight else { return text.ranges(of: part).first.map { $0.lowerBound + start } ?? -1 }
        let places = stride(from: text.count - part.count, through: 0, by: -1)
        return places.first { text.scalars[$0...].starts(with: part.scalars) }.map { $0 + start } ?? -1
    }

    /// A text, or a tuple of texts.
    private static func affixes(_ value: JinjaValue?) -> [MarkedText]? {
        if case .text(let affix)? = value { return [affix] }
        return value?.elements?.compactMap { if case .text(let affix) = $0 { affix } else { nil } }
    }

    private static func split(_ whole: MarkedText, _ given: JinjaGiven, fromRight: Bool) -> JinjaValue? {
        let limit = given["maxsplit"]?.whole.flatMap { $0 < 0 ? nil : $0 }
        guard let separator = given.some("sep") else {
            return .list(whole.words(limit: limit, fromRight: fromRight).map { .text($0) })
        }
        guard case .text(let separator) = separator, !separator.isEmpty else { return nil }
        return .list(whole.split(by: separator, limit: limit, fromRight: fromRight).map { .text($0) })
    }

    private static func partition(_ whole: MarkedText, _ given: JinjaGiven, fromRight: Bool) -> JinjaValue? {
        guard let separator = given.text("sep"), !separator.isEmpty else { return nil }
        let parts = whole.split(by: separator, limit: 1, fromRight: fromRight).map { JinjaValue.text($0) }
        if parts.count == 2 { return .tuple([parts[0], .text(separator), parts[1]]) }
        let nothing = [JinjaValue.text(""), .text("")]
        return .tuple(fromRight ? nothing + [.text(whole)] : [.text(whole)] + nothing)
    }
}
