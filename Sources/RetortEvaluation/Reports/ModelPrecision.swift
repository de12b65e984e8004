/// How the weights of a model that answered in this process were held.
public struct ModelPrecision: Codable, Sendable, Hashable {
    /// What it did, such as `teacher`, or a student's name.
    public var model: String
    /// Such as `bfloat16`.
    public var weights: String

    public init(model: String, weights: String) { (self.model, self.weights) = (model, weights) }

    /// A table for the report; it has no rows, and so is left out, where no model answered in this process.
    public static func table(_ models: [ModelPrecision]) -> ReportTable {
        ReportTable(
            "Models in this process", columns: ["Model", "Weights"], names: 2,
            rows: models.map { [$0.model, $0.weights] })
    }
}
