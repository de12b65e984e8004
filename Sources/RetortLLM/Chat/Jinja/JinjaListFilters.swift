extension JinjaInterpreter {
    static let listFilters: [String: [String]] = [
        "list": [], "first": [], "last": [], "reverse": [], "join": ["d", "attribute"],
        "unique": ["case_sensitive", "attribute"], "sort": ["reverse", "case_sensitive", "attribute"],
        "sum": ["attribute", "start"], "min": ["case_sensitive", "attribute"], "max": ["case_sensitive", "attribute"],
        "groupby": ["attribute", "default", "case_sensitive"], "batch": ["linecount", "fill_with"],
    ]

    /// Filters of lists, and of what else has elements.
    mutating func listFilter(_ name: String, _ value: JinjaValue, _ given: JinjaGiven) throws(JinjaError) -> JinjaValue
    {
        let elements = try elements(of: value)
        switch name {
        case "list": return .list(elements)
        case "first": return elements.first ?? .undefined("first")
        case "last": return elements.last ?? .undefined("last")
        case "reverse":
            if case .text = value { return .text(elements.reversed().reduce(into: MarkedText()) { $0 += $1.written }) }
            return .list(elements.reversed())
        case "join": return .text(try joined(elements, given))
        case "unique": return .list(try distinct(elements, by: try keys(of: elements, given)))
        case "sort":
            return .list(
                try sorted(elements, by: try keys(of: elements, given), reversed: given.isTrue("reverse")))
        case "sum": return try total(elements, given)
        case "min", "max": return try extreme(name, elements, by: try keys(of: elements, given))
        case "groupby": return .list(try groups(of: elements, given))
        default: return .list(try batches(of: elements, given))
        }
    }

    // MARK: Parts of elements

    /// The part of a value that an `attribute` names; `a.b.0` goes down three times.
    /// - Parameter fallback: takes the place of a part that is missing.
    func part(
        _ attribute: JinjaValue, of value: JinjaValue, default fallback: JinjaValue? = nil
    ) throws(JinjaError) -> JinjaValue {
        var keys = [attribute]
        if case .text(let path) = attribute {
            keys = path.split(by: MarkedText(".")).map { key in
                let isPlace = !key.isEmpty && key.scalars.allSatisfy { ("0"..."9").contains($0) }
                return isPlace ? Int(key.string).map { .integer($0) } ?? .text(key) : .text(key)
            }
        }
        var part = value
        for key in keys {
            part = try item(key, of: part)
            if let fallback, part.isUndefined { part = fallback }
        }
        return part
    }

    private func parts(
        _ attribute: JinjaValue?, of elements: [JinjaValue], default fallback: JinjaValue? = nil
    ) throws(JinjaError) -> [JinjaValue] {
        guard let attribute else { return elements }
        var parts: [JinjaValue] = []
        for element in elements { parts.append(try part(attribute, of: element, default: fallback)) }
        return parts
    }

    /// What elements are compared by: a part of each, or several in a row, in lower case unless `case_sensitive`.
    private func keys(of elements: [JinjaValue], _ given: JinjaGiven) throws(JinjaError) -> [JinjaValue] {
        let attribute = given.some("attribute")
        let folds = !given.isTrue("case_sensitive")
        let several = given.text("attribute").map { $0.split(by: MarkedText(",")) } ?? []
        guard several.count > 1 else {
            let parts = try parts(attribute, of: elements, default: given.some("default"))
            return folds ? parts.map(\.ignoringCase) : parts
        }
        var keys: [JinjaValue] = []
        for element in elements {
            var key: [JinjaValue] = []
            for name in several { key.append(try part(.text(name), of: element)) }
            keys.append(.list(folds ? key.map(\.ignoringCase) : key))
        }
        return keys
    }

    // MARK: Filters

    private func joined(_ elements: [JinjaValue], _ given: JinjaGiven) throws(JinjaError) -> MarkedText {
        let parts = try parts(given.some("attribute"), of: elements).map(\.written)
        let separator = given["d"]?.written ?? MarkedText()
        guard let joined = JinjaValue.joined(parts, separator, within: Self.longestText) else {
            throw .exhausted("a text of more than \(Self.longestText) characters")
        }
        return joined
    }

    private mutating func distinct(_ elements: [JinjaValue], by keys: [JinjaValue]) throws(JinjaError) -> [JinjaValue] {
        var kept: [Int] = []
        for index in elements.indices {
            try step(at: line, cost: 1 + kept.count / 8)
            if !kept.contains(where: { keys[$0].equals(keys[index]) }) { kept.append(index) }
        }
        return kept.map { elements[$0] }
    }

    mutating func sorted(
        _ elements: [JinjaValue], by keys: [JinjaValue], reversed isReversed: Bool
    ) throws(JinjaError) -> [JinjaValue] {
        // Insertion sort, so that an incomparable element is an error instead of a crash; lists here are short.
        var order: [Int] = []
        for index in elements.indices {
            var position = order.count
            while position > 0, try compares(isReversed ? ">" : "<", keys[index], keys[order[position - 1]]) {
                position -= 1
            }
            try step(at: line, cost: 1 + (order.count - position))
            order.insert(index, at: position)
        }
        return order.map { elements[$0] }
    }

    private mutating func total(_ elements: [JinjaValue], _ given: JinjaGiven) throws(JinjaError) -> JinjaValue {
        var total = given["start"] ?? .integer(0)
        if case .text = total { throw failure("strings have no sum; join them") }
        for part in try parts(given.some("attribute"), of: elements) { total = try sum(total, part) }
        return total
    }

    private func extreme(
        _ name: String, _ elements: [JinjaValue], by keys: [JinjaValue]
    ) throws(JinjaError) -> JinjaValue {
        guard var best = elements.indices.first else { return .undefined(name) }
        for index in elements.indices.dropFirst()
        where try compares(name == "min" ? "<" : ">", keys[index], keys[best]) {
            best = index
        }
        return elements[best]
    }

    /// Pairs of a key and the elements that have it, by keys in ascending order.
    private mutating func groups(of elements: [JinjaValue], _ given: JinjaGiven) throws(JinjaError) -> [JinjaValue] {
        guard let attribute = given.some("attribute") else { throw failure("groupby needs an attribute") }
        let order = try sorted(
            elements.indices.map { .integer($0) }, by: try keys(of: elements, given), reversed: false
        ).compactMap(\.whole)
        let sorted = order.map { elements[$0] }
        let keys = try keys(of: sorted, given)
        let written = try parts(attribute, of: sorted, default: given.some("default"))
        var groups: [(key: JinjaValue, elements: [JinjaValue])] = []
        for index in sorted.indices {
            if index > 0, keys[index].equals(keys[index - 1]) {
                groups[groups.count - 1].elements.append(sorted[index])
            } else {
                groups.append((written[index], [sorted[index]]))
            }
        }
        return groups.map { .tuple([$0.key, .list($0.elements)], names: ["grouper", "list"]) }
    }

    private func batches(of elements: [JinjaValue], _ given: JinjaGiven) throws(JinjaError) -> [JinjaValue] {
        guard let size = given["linecount"]?.whole, size > 0 else { throw failure("batch needs a number from 1 on") }
        return stride(from: 0, to: elements.count, by: size).map { start in
            let batch = Array(elements[start..<min(start + size, elements.count)])
            guard let filler = given.some("fill_with"), size <= 1 << 12 else { return .list(batch) }
            return .list(batch + Array(repeating: filler, count: size - batch.count))
        }
    }

    /// `map`: a part of each element, or each element through another filter.
    mutating func mapped(
        _ value: JinjaValue, _ arguments: JinjaFunction.Arguments
    ) throws(JinjaError) -> [JinjaValue] {
        let elements = try elements(of: value)
        guard let name = arguments.positional.first else {
            let given = try JinjaGiven(arguments, for: ["attribute", "default"], of: "map", line: line)
            guard let attribute = given.some("attribute") else { throw failure("map needs a filter or an attribute") }
            return try parts(attribute, of: elements, default: given.some("default"))
        }
        let rest = (positional: Array(arguments.positional.dropFirst()), named: arguments.named)
        var results: [JinjaValue] = []
        for element in elements { results.append(try filter(name.written.string, element, rest)) }
        return results
    }

    /// The elements that pass a test, or do not.
    mutating func selection(
        _ name: String, _ value: JinjaValue, _ given: JinjaFunction.Arguments
    ) throws(JinjaError) -> [JinjaValue] {
        if let (stranger, _) = given.named.first { throw failure("\(name) has no argument '\(stranger)'") }
        let byAttribute = name.hasSuffix("attr")
        let arguments = given.positional
        let testArguments = byAttribute ? arguments.dropFirst() : arguments[...]
        var kept: [JinjaValue] = []
        for element in try elements(of: value) {
            try step(at: line)
            var tested = element
            if byAttribute {
                guard let attribute = arguments.first else { throw failure("\(name) needs an attribute") }
                tested = try part(attribute, of: element)
            }
            let passes =
                try testArguments.first.map { name throws(JinjaError) in
                    try test(name.written.string, tested, Array(testArguments.dropFirst()))
                } ?? tested.isTrue
            if passes == name.hasPrefix("select") { kept.append(element) }
        }
        return kept
    }
}
