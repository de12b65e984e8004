import RetortDomains
import RetortTraining

/// Which tasks are held out of training to measure their loss, and what follows from it.
public struct ValidationChoice: Codable, Sendable, Hashable {
    /// The share of the training tasks that is held out; nil takes the domain's validation tasks, or else the usual
    /// share.
    public var share: Double?
    /// The most tasks that are held out.
    public var mostTasks = 100
    /// The number of updates between two measurements; nil is a tenth of all.
    public var every: Int?
    /// How many measurements without a smaller loss end the training; nil trains to the end.
    public var patience: Int? = usualPatience
    /// Which update's weights are kept.
    public var keeps = ValidationPlan.Kept.best

    /// A twentieth, but at least eight tasks; with fewer than eighty tasks that would be too many.
    static let usualShare = 0.05
    static let fewest = 8
    static let fewestToHoldOut = 80
    static let usualLooks = 10
    static let usualPatience = 4

    /// When the loss is measured in a training with this many updates.
    func plan(updates: Int) -> ValidationPlan {
        ValidationPlan(
            every: every ?? max(1, (updates + Self.usualLooks - 1) / Self.usualLooks), patience: patience, keeps: keeps)
    }
}

extension ValidationChoice {
    /// Reads `validation`: `none`, a share, or a mapping.
    /// - Parameters:
    ///   - inherited: the default where the key, or one of its own keys, is missing; nil for none.
    ///   - sharesTasks: whether the recipe alone decides which tasks are held out, as for a curriculum's stages, which
    ///     continue from one another.
    static func read(_ reader: YAMLReader, inherited: Self?, sharesTasks: Bool = false) -> Self? {
        guard reader.has("validation") else { return inherited }
        let refused =
            "the stages of curricula go on from one another, so all hold out the same tasks: say it in the recipe's own 'validation'"
        let read = reader.either("validation") { text -> Self? in
            if text == "none" { return nil }
            guard let share = Double(text), share > 0, share <= 0.5 else {
                reader.refuse(
                    "validation", "'validation' must be none, a share of the tasks above 0 and up to 0.5, or a mapping")
                return inherited
            }
            if sharesTasks { reader.refuse("validation", "a share has no meaning here: \(refused)") }
            var choice = inherited ?? Self()
            choice.share = share
            return choice
        } mapping: { keys -> Self? in
            if sharesTasks {
                for key in ["share", "mostTasks"] where keys.has(key) {
                    keys.refuse(key, "'\(key)' has no meaning here: \(refused)")
                }
                if inherited == nil {
                    keys.refuse(
                        "validation", "the recipe's 'validation' is none, so there are no tasks to look at here")
                }
            }
            return Self(keys, inherited: inherited ?? Self())
        }
        // The reader has already refused a value that is neither text nor mapping.
        return read ?? inherited
    }

    private init(_ reader: YAMLReader, inherited: Self) {
        self = inherited
        if reader.has("share") { share = reader.number("share", default: Self.usualShare, in: 0.001...0.5) }
        mostTasks = reader.integer("mostTasks", default: mostTasks, in: 1...1_000_000)
        if reader.has("every") { every = reader.integer("every", default: 1, in: 1...1_000_000) }
        if reader.textIfAny("patience") == "none" {
            patience = nil
        } else if reader.has("patience") {
            patience = reader.integer("patience", default: Self.usualPatience, in: 1...1_000_000)
        }
        keeps = reader.choice("keep", default: keeps)
    }
}
