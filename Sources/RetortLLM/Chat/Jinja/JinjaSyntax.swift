/// A parsed template: output and control statements.
indirect enum JinjaNode: Sendable {
    case text(String)
    case output(JinjaExpression, line: Int)
    case branches([(condition: JinjaExpression, body: [JinjaNode])], otherwise: [JinjaNode])
    case loop(JinjaLoop)
    case set([JinjaTarget], JinjaExpression, line: Int)
    case capture(JinjaTarget, [JinjaNode], line: Int)
    case macro(JinjaMacro)
    case breakLoop
    case continueLoop
}

struct JinjaLoop: Sendable {
    let targets: [String]
    let sequence: JinjaExpression
    let condition: JinjaExpression?
    let body: [JinjaNode]
    let otherwise: [JinjaNode]
    let line: Int
}

/// What `{% set %}` assigns to: a variable, or a namespace's attribute.
struct JinjaTarget: Sendable {
    let name: String
    let attribute: String?
}

struct JinjaMacro: Sendable {
    let name: String
    let parameters: [(name: String, value: JinjaExpression?)]
    let body: [JinjaNode]
    let line: Int
}

/// An expression with its line in the template.
struct JinjaExpression: Sendable {
    indirect enum Kind: Sendable {
        case literal(JinjaLiteral)
        case list([JinjaExpression])
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
}
