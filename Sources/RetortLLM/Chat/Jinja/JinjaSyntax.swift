/// A parsed template: output and control statements.
indirect enum JinjaNode: Sendable {
    case text(String)
    case output(JinjaExpression, line: Int)
    case branches([(condition: JinjaExpression, body: [JinjaNode])], otherwise: [JinjaNode])
    case loop(JinjaLoop)
    case set(JinjaTarget, JinjaExpression, line: Int)
    case capture(JinjaTarget, [JinjaNode], line: Int)
    /// A body with variables of its own.
    case scope([(target: JinjaTarget, value: JinjaExpression)], [JinjaNode], line: Int)
    case macro(JinjaMacro)
    case breakLoop
    case continueLoop
}

struct JinjaLoop: Sendable {
    let target: JinjaTarget
    let sequence: JinjaExpression
    let condition: JinjaExpression?
    let body: [JinjaNode]
    let otherwise: [JinjaNode]
    let isRecursive: Bool
    let line: Int
}

/// What `{% set %}` and `{% for %}` assign to.
indirect enum JinjaTarget: Sendable {
    case variable(String)
    /// A namespace's attribute.
    case attribute(of: String, String)
    case tuple([JinjaTarget])
}

struct JinjaMacro: Sendable {
    let name: String
    let parameters: [(name: String, value: JinjaExpression?)]
    let body: [JinjaNode]
    /// Which of `varargs`, `kwargs` and `caller` the body mentions.
    let extras: Set<String>
    let line: Int
}

/// An expression with its line in the template.
struct JinjaExpression: Sendable {
    indirect enum Kind: Sendable {
        case literal(JinjaLiteral)
        case list([JinjaExpression])
        case tuple([JinjaExpression])
        case dictionary([(key: JinjaExpression, value: JinjaExpression)])
        case variable(String)
        case attribute(JinjaExpression, String)
        case item(JinjaExpression, JinjaExpression)
        case slice(JinjaExpression, from: JinjaExpression?, to: JinjaExpression?, step: JinjaExpression?)
        case call(JinjaExpression, JinjaArguments)
        case filter(JinjaExpression, String, JinjaArguments)
        case test(JinjaExpression, String, [JinjaExpression], negated: Bool)
        case not(JinjaExpression)
        case negative(JinjaExpression)
        case binary(String, JinjaExpression, JinjaExpression)
        case conditional(JinjaExpression, if: JinjaExpression, else: JinjaExpression?)
    }

    let kind: Kind
    let line: Int
}

enum JinjaLiteral: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
}

struct JinjaArguments: Sendable {
    var positional: [JinjaExpression] = []
    var named: [(name: String, value: JinjaExpression)] = []
    /// `*list` and `**mapping`
    var spread: JinjaExpression?
    var namedSpread: JinjaExpression?
}
