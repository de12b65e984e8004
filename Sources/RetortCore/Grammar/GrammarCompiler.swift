/// A grammar that nothing can be held to.
public enum GrammarError: Error, Equatable, CustomStringConvertible {
    /// No text is allowed, or none that can be written.
    case unsatisfiable
    case tooLarge(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unsatisfiable:
            "no answer can be valid: a list of choices is empty, a required member may not be there, or bounds exclude each "
                + "other (numbers are written with 15 digits at most); loosen the schema"
        case .tooLarge(let reason): "it is too large to be followed: \(reason)"
        }
    }
}

/// Turns a grammar into parts, each of which is there once.
struct GrammarCompiler {
    private(set) var nodes: [GrammarNode] = []
    private var numbers: [GrammarNode: Int] = [:]
    /// Of schemas by their names.
    private var references: [String: Int] = [:]
    private var definitions: [String: JSONSchema] = [:]
    private var work = 0
    /// Of patterns that were met, by what they are and how long their texts may be.
    private var patterns: [PatternKey: WritablePattern] = [:]
    private var budget = WorkBudget.document

    private struct PatternKey: Hashable {
        let patterns: [TextPattern]
        let limit: Int
    }

    private static let mostNodes = 50_000
    private static let mostWork = 500_000
    private static let mostElements = 16

    /// The parts that JSON values of any kind are made of; the same in every grammar.
    struct Kinds {
        let nothing = 0
        let any = 1
        let scalars = [2, 3, 4, 5, 6]
        let nested = [7, 8]
        /// Of a member that the schema does not name.
        let name = 9
    }
    static let kinds = Kinds()

    private init() throws(GrammarError) {
        for node: GrammarNode in [
            .nothing, .anyValue, .text(Array("null".utf8)), .text(Array("true".utf8)), .text(Array("false".utf8)),
            .number(JSONNumberRule(.init())), .string(JSONStringRule(minimum: 0, maximum: JSONStringRule.longest)),
            .array(JSONArrayRule(prefix: [], items: 1, minimum: 0, maximum: Self.mostElements)),
            .object(JSONObjectRule(members: [], required: MemberSet([], of: 0), others: 1)),
            .string(JSONStringRule(minimum: 0, maximum: 64)),
        ] { _ = try number(node) }
    }

    /// The rules of a grammar, and its first part.
    /// - Throws: `GrammarError`.
    static func rules(for grammar: OutputGrammar) throws(GrammarError) -> (GrammarRules, start: Int) {
        var compiler = try GrammarCompiler()
        let start = try compiler.compile(grammar)
        let heights = compiler.heights
        guard heights[start] != nil else { throw .unsatisfiable }
        return (GrammarRules(nodes: compiler.nodes, heights: heights), start)
    }

    private mutating func number(_ node: GrammarNode) throws(GrammarError) -> Int {
        work += 1
        if let known = numbers[node] { return known }
        guard nodes.count < Self.mostNodes, work < Self.mostWork else {
            throw .tooLarge("it has more than \(Self.mostNodes) parts")
        }
        nodes.append(node)
        numbers[node] = nodes.count - 1
        return nodes.count - 1
    }

    private mutating func compile(_ grammar: OutputGrammar) throws(GrammarError) -> Int {
        switch grammar {
        case .text(let text): return try number(.text(Array(text.utf8)))
        case .oneOf(let choices): return try choice(try all(choices))
        case .sequence(let parts): return try number(.sequence(try all(parts)))
        case .prose(let limit, let endings):
            var compiled: [GrammarProse.Ending] = []
            for ending in endings where !ending.text.isEmpty {
                compiled.append(.init(bytes: Array(ending.text.utf8), next: try compile(ending.next)))
            }
            return try number(.prose(GrammarProse(limit: limit, endings: compiled)))
        case .anything(let limit): return try number(.anything(limit: limit))
        case .json(let schema):
            // Names are those of one document.
            (references, definitions) = ([:], [:])
            return try compile(schema)
        }
    }

    private mutating func all(_ grammars: [OutputGrammar]) throws(GrammarError) -> [Int] {
        var parts: [Int] = []
        for grammar in grammars { parts.append(try compile(grammar)) }
        return parts
    }

    private mutating func choice(_ choices: [Int]) throws(GrammarError) -> Int {
        var once: [Int] = []
        for choice in choices where !once.contains(choice) { once.append(choice) }
        return once.count == 1 ? once[0] : try number(once.isEmpty ? .nothing : .choice(once))
    }

    // MARK: JSON

    private mutating func compile(_ schema: JSONSchema) throws(GrammarError) -> Int {
        switch schema {
        case .any: return Self.kinds.any
        case .null: return try number(.text(Array("null".utf8)))
        case .boolean: return try choice([Self.kinds.scalars[1], Self.kinds.scalars[2]])
        case .integer(let low, let high):
            let rule = JSONNumberRule(minimum: low, maximum: high)
            return rule.isPossible ? try number(.number(rule)) : Self.kinds.nothing
        case .number(let range):
            // Narrow ranges need more decimals than usual ones.
            let rule = [6, 14].lazy.map { JSONNumberRule(range, decimals: $0) }.first(where: \.isPossible)
            return try rule.map { rule throws(GrammarError) in try number(.number(rule)) } ?? Self.kinds.nothing
        case .string(let range): return try string(range)
        case .constants(let values):
            var texts: [Int] = []
            for value in values { texts.append(try number(.text(Array(value.jsonText.utf8)))) }
            return try choice(texts)
        case .array(let array): return try self.array(array)
        case .object(let object): return try self.object(object)
        case .anyOf(let schemas):
            var choices: [Int] = []
            for schema in schemas { choices.append(try compile(schema)) }
            return try choice(choices)
        // What is written is what the keywords speak of.
        case .implied(let schema): return try compile(schema)
        case .reference(let name):
            if let known = references[name] { return known }
            guard let definition = definitions[name] else { return Self.kinds.nothing }
            // A place of its own, so that the definition may mean itself.
            nodes.append(.choice([-1 - nodes.count]))
            let place = nodes.count - 1
            references[name] = place
            let compiled = try compile(definition)
            nodes[place] = .choice([compiled])
            return place
        case .scoped(let inner, let more):
            (references, definitions) = ([:], more)
            return try compile(inner)
        }
    }

    private mutating func string(_ range: JSONSchema.TextRange) throws(GrammarError) -> Int {
        let most = range.maximumLength ?? max(JSONStringRule.longest, range.minimumLength)
        guard range.minimumLength <= most else { return Self.kinds.nothing }
        guard !range.patterns.isEmpty else {
            return try number(.string(JSONStringRule(minimum: range.minimumLength, maximum: most)))
        }
        do {
            let key = PatternKey(patterns: range.patterns, limit: most)
            let pattern: WritablePattern
            if let known = patterns[key] {
                pattern = known
            } else {
                guard !budget.isSpent else { throw GrammarError.tooLarge("its patterns take too long to be prepared") }
                pattern = try WritablePattern(range.patterns, upTo: most)
                budget.spend(pattern.cost)
                patterns[key] = pattern
            }
            let rule = JSONStringRule(minimum: range.minimumLength, maximum: most, pattern: pattern)
            return pattern.left(0, 0, rule) == nil ? Self.kinds.nothing : try number(.string(rule))
        } catch let failure as RegularExpression.Failure {
            throw .tooLarge("\(range.patterns.map(\.value).joined(separator: ", ")): \(failure.reason)")
        } catch let error as GrammarError {
            throw error
        } catch {
            throw .tooLarge("\(error)")
        }
    }

    private mutating func array(_ array: JSONSchema.ArraySchema) throws(GrammarError) -> Int {
        var prefix: [Int] = []
        for schema in array.prefix { prefix.append(try compile(schema)) }
        let most = array.maximum ?? max(Self.mostElements, array.minimum, prefix.count)
        guard array.minimum <= most else { return Self.kinds.nothing }
        return try number(
            .array(
                JSONArrayRule(prefix: prefix, items: try compile(array.items), minimum: array.minimum, maximum: most)))
    }

    private mutating func object(_ object: JSONSchema.ObjectSchema) throws(GrammarError) -> Int {
        var members: [JSONObjectRule.Member] = []
        let names = object.properties.keys.sorted()
        for name in names {
            let key = Array(JSONValue.string(name).jsonText.utf8)
            members.append(.init(key: key, value: try compile(object.schema(of: name))))
        }
        let required = MemberSet(names.indices.filter { object.required.contains(names[$0]) }, of: names.count)
        let others = names.isEmpty ? object.others : nil
        return try number(
            .object(
                JSONObjectRule(
                    members: members, required: required,
                    others: try others.map { others throws(GrammarError) in try compile(others) })))
    }

    // MARK: Heights

    /// How deep each part nests at least; nil where it has no text, or none that ends.
    private var heights: [Int?] {
        var heights = [Int?](repeating: nil, count: nodes.count)
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for (index, node) in nodes.enumerated() {
                let height = height(of: node, heights)
                if height != heights[index] {
                    heights[index] = height
                    hasChanged = true
                }
            }
        }
        return heights
    }

    private func height(of node: GrammarNode, _ heights: [Int?]) -> Int? {
        func deepest(_ parts: [Int]) -> Int? {
            var deepest = 0
            for part in parts {
                guard let height = heights[part] else { return nil }
                deepest = max(deepest, height)
            }
            return deepest
        }
        switch node {
        case .nothing: return nil
        case .text, .anyValue, .number, .string: return 0
        case .anything(let limit): return limit >= 0 ? 0 : nil
        case .choice(let choices): return choices.compactMap { heights[$0] }.min()
        case .sequence(let parts): return deepest(parts)
        case .prose(let prose): return prose.endings.compactMap { heights[$0.next] }.min()
        case .array(let rule):
            guard rule.minimum > 0 else { return 1 }
            let needed = (0..<min(rule.minimum, rule.prefix.count + 1)).map(rule.element)
            return deepest(needed).map { $0 + 1 }
        case .object(let rule):
            let needed = rule.members.indices.filter(rule.required.contains).map { rule.members[$0].value }
            return deepest(needed).map { $0 + 1 }
        }
    }
}
