/// Lists, relations, unions and ratios: constructs that bind weaker than a sum.
extension MathParser {
    mutating func answer() throws -> MathNode {
        var parts = [try element()]
        while takeSeparator() {
            guard let token = current, !token.isMark(".") else { break }
            _ = token
            parts.append(try element())
            guard parts.count <= MathLimits.parts else { throw MathFault.tooLarge }
        }
        return parts.count == 1 ? parts[0] : .list(parts, .none)
    }

    /// A comma, a semicolon, `and` or `or`; several of them count as one.
    mutating func takeSeparator() -> Bool {
        var found = false
        while let token = current {
            switch token.kind {
            case .mark(","), .mark(";"): break
            case .text(let words) where ["and", "or"].contains(words.trimmingCharacters(in: .whitespaces).lowercased()):
                break
            default: return found
            }
            index += 1
            found = true
        }
        return found
    }

    /// An expression or a chain of relations.
    mutating func element() throws -> MathNode {
        try nested { parser in
            // In `\ge 5` the variable goes without saying.
            var parts: [MathNode] = try parser.startsBound() ? [.unnamed] : [parser.union()]
            var relations: [MathNode.Relation] = []
            while let relation = parser.takeRelation() {
                relations.append(relation)
                parts.append(try parser.union())
                guard parts.count <= 16 else { throw MathFault.tooLarge }
            }
            return relations.isEmpty ? parts[0] : .relation(parts, relations)
        }
    }

    private func startsBound() -> Bool { ["<", "<=", ">", ">=", "!="].contains { isMark($0) } }

    mutating func takeRelation() -> MathNode.Relation? {
        if case .name("in")? = current?.kind, let next = peek(1), next.isMark("[") || next.isMark("(") {
            index += 1
            return .element
        }
        guard case .mark(let mark)? = current?.kind, let relation = MathNode.Relation(rawValue: mark) else {
            return nil
        }
        index += 1
        return relation
    }

    mutating func union() throws -> MathNode {
        var parts = [try ratio()]
        while take("∪") { parts.append(try ratio()) }
        return parts.count == 1 ? parts[0] : .union(parts)
    }

    mutating func ratio() throws -> MathNode {
        var parts = [try sum()]
        while take(":") { parts.append(try sum()) }
        guard parts.count > 1 else { return parts[0] }
        // `8:34 p.m.`, but not `8:34 hours`
        if case .quantity(let value, let unit)? = parts.last, Opposites.half(ofDay: unit) == nil {
            parts[parts.count - 1] = value
        }
        return .ratio(parts)
    }
}
