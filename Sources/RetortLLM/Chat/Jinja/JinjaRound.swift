/// The variable `loop` in one round of a loop.
final class JinjaRound {
    private let elements: [JinjaValue]
    private let index: Int
    /// How many recursive loops are around this one.
    private let depth: Int
    /// Runs the loop's body on other elements; nil in a loop that is not recursive.
    let again: JinjaFunction?
    private let memory: Memory

    /// What `loop.changed` was last called with; all rounds of a loop share it.
    final class Memory { var last: [JinjaValue]? }

    init(_ elements: [JinjaValue], at index: Int, depth: Int, again: JinjaFunction?, memory: Memory) {
        (self.elements, self.index, self.depth, self.again) = (elements, index, depth, again)
        self.memory = memory
    }

    subscript(name: String) -> JinjaValue? {
        switch name {
        case "index": .integer(index + 1)
        case "index0": .integer(index)
        case "revindex": .integer(elements.count - index)
        case "revindex0": .integer(elements.count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index == elements.count - 1)
        case "length": .integer(elements.count)
        case "depth": .integer(depth + 1)
        case "depth0": .integer(depth)
        case "previtem": index > 0 ? elements[index - 1] : .undefined(name)
        case "nextitem": index + 1 < elements.count ? elements[index + 1] : .undefined(name)
        case "cycle": cycle
        case "changed": changed
        default: nil
        }
    }

    private var cycle: JinjaValue {
        let index = index
        return .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                let values = try interpreter.positional(arguments, of: "cycle")
                guard !values.isEmpty else { throw interpreter.failure("cycle() needs values") }
                return values[index % values.count]
            })
    }

    private var changed: JinjaValue {
        let memory = memory
        return .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                let values = try interpreter.positional(arguments, of: "changed")
                let isSame = memory.last.map { JinjaValue.list($0).equals(.list(values)) } ?? false
                memory.last = values
                return .bool(!isSame)
            })
    }
}
