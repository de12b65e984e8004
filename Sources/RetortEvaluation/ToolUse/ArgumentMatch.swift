import RetortCore

/// How well a call's arguments fit the reference's (α-UMi's Arg. F1).
enum ArgumentMatch: Equatable {
    /// The reference is not valid JSON: the turn does not count.
    case leftOut
    /// The reference has no arguments.
    case easy(Double)
    /// The reference has arguments.
    case hard(Double)

    /// Compares two inputs as written. An equal value counts 1, a name with another value ½; recall divides by the
    /// number of the reference's names, precision by that of the prediction's.
    init(_ prediction: String, reference: String) {
        guard let reference = try? JSONTree.parse(Array(reference.utf8)) else {
            self = .leftOut
            return
        }
        let prediction = try? JSONTree.parse(Array(prediction.utf8))
        guard case .object(let written) = reference, !written.isEmpty else {
            if case .object = reference {
                var isEmpty = false
                if case .object(let members) = prediction { isEmpty = members.isEmpty }
                self = .easy(isEmpty ? 1 : 0)
            } else {
                self = .hard(0)
            }
            return
        }
        guard case .object(let given) = prediction else {
            self = .hard(0)
            return
        }
        self = .hard(Self.f1(Self.members(given), reference: Self.members(written)))
    }

    private static func f1(_ given: [[UInt8]: JSONTree], reference: [[UInt8]: JSONTree]) -> Double {
        var matched = 0.0
        for (name, value) in reference {
            guard let other = given[name] else { continue }
            matched += other.equalsInPython(value) ? 1 : 0.5
        }
        guard matched > 0 else { return 0 }
        let (recall, precision) = (matched / Double(reference.count), matched / Double(given.count))
        return 2 * recall * precision / (recall + precision)
    }

    /// If two members have the same name, the last one counts.
    private static func members(_ members: [(name: [UInt8], value: JSONTree)]) -> [[UInt8]: JSONTree] {
        Dictionary(members.map { ($0.name, $0.value) }, uniquingKeysWith: { _, last in last })
    }
}

extension JSONTree {
    /// Python's equality of values from `json.loads`: `1`, `1.0` and `true` are equal, and texts are compared by code
    /// point.
    fileprivate func equalsInPython(_ other: JSONTree) -> Bool {
        switch (self, other) {
        case (.null, .null): return true
        case (.string(let left), .string(let right)): return left == right
        case (.array(let left), .array(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { $0.equalsInPython($1) }
        case (.object(let left), .object(let right)):
            let (left, right) = (Self.last(left), Self.last(right))
            return left.count == right.count
                && left.allSatisfy { name, value in right[name].map(value.equalsInPython) ?? false }
        default:
            guard let left = number, let right = other.number else { return false }
            if let left = Int(left), let right = Int(right) { return left == right }
            // Whole numbers beyond 64 bits are compared by their digits when both are whole, as Python does.
            if left.isWhole, right.isWhole { return left == right }
            return Double(left) == Double(right)
        }
    }

    private static func last(_ members: [(name: [UInt8], value: JSONTree)]) -> [[UInt8]: JSONTree] {
        Dictionary(members.map { ($0.name, $0.value) }, uniquingKeysWith: { _, last in last })
    }

    private var number: String? {
        switch self {
        case .number(let digits): digits
        case .bool(let value): value ? "1" : "0"
        case .null, .string, .array, .object: nil
        }
    }
}

extension String {
    fileprivate var isWhole: Bool { utf8.allSatisfy("-0123456789".utf8.contains) }
}
