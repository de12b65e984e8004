/// A Swift function that an agent may call.
///
/// ```swift
/// struct Order: Decodable { var article: String; var pieces: Int }
///
/// let price = FunctionTool(
///     "price", "The price of some pieces of an article, in cents.",
///     parameters: [
///         .init("article", type: "string", summary: "its name"),
///         .init("pieces", type: "integer", summary: "how many"),
///     ]
/// ) { (order: Order) in try shop.price(of: order.article, pieces: order.pieces) }
/// ```
public struct FunctionTool: Tool {
    /// What the model is told about it.
    public let specification: ToolSpecification
    private let function: @Sendable ([String: JSONValue]) async throws -> JSONValue

    /// - Parameters:
    ///   - name: what agents call it; a Python name.
    ///   - summary: one sentence for the model.
    ///   - parameters: named as the members of `Arguments` are.
    ///   - returns: the JSON schema type of the result, or `any`.
    ///   - effect: what repeating a call does; a function that changes something outside is `external`.
    ///   - function: what a call does. What it throws is what the agent observes.
    public init<Arguments: Decodable>(
        _ name: String, _ summary: String, parameters: [ToolSpecification.Parameter], returns: String = "any",
        effect: ToolSpecification.Effect = .pure,
        _ function: @escaping @Sendable (Arguments) async throws -> some Encodable
    ) {
        specification = ToolSpecification(
            name: name, summary: summary, parameters: parameters, returns: returns, effect: effect)
        self.function = { values in
            let arguments: Arguments
            do {
                arguments = try ExactJSON.decode(Arguments.self, from: .object(values))
            } catch let error as DecodingError {
                throw ToolError.unfit(tool: name, reason: error.reason)
            }
            return try ExactJSON.tree(await function(arguments))
        }
    }

    /// Calls the function.
    /// - Throws: what it throws; `ToolError.unfit` for arguments that are none of its.
    public func call(_ arguments: [String: JSONValue]) async throws -> JSONValue { try await function(arguments) }
}

extension DecodingError {
    /// What does not fit, and where.
    fileprivate var reason: String {
        let (context, last): (Context, (any CodingKey)?) =
            switch self {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                (context, nil)
            case .keyNotFound(let key, let context): (context, key)
            @unknown default: (Context(codingPath: [], debugDescription: "\(self)"), nil)
            }
        let place = (context.codingPath + (last.map { [$0] } ?? [])).map(\.stringValue).joined(separator: ".")
        return place.isEmpty ? context.debugDescription : "'\(place)': \(context.debugDescription)"
    }
}
