/// The precision of the weights of a model that ran in this process.
public struct ModelPrecision: Codable, Sendable, Hashable {
    /// Its role, such as `teacher`, or a student's name.
    public var model: String
    /// Such as `bfloat16`.
    public var weights: String

    /// A model with the type of its weights.
    public init(model: String, weights: String) { (self.model, self.weights) = (model, weights) }

    /// A table for the report; it has no rows, and is left out, when no model ran in this process.
    public static func table(_ models: [ModelPrecision]) -> ReportTable {
        ReportTable(
            "Models in this process", columns: ["Model", "Weights"], names: 2,
            rows: models.map { [$0.model, $0.weights] })
    }
}
