import RetortDomains
import RetortTraining

/// Which tasks are not trained on but looked at while training, and what follows from what they show.
public struct ValidationChoice: Codable, Sendable, Hashable {
    /// The share of the training tasks that is held out; nil takes the domain's validation tasks, or else the usual share.
    public var share: Double?
    /// The most tasks that are held out.
    public var mostTasks = 100
    /// Updates between two looks; nil is a tenth of all.
    public var every: Int?
    /// So many looks without a smaller loss end the training; nil goes on to the end.
    public var patience: Int? = usualPatience
    /// Whose weights the training ends with.
    public var keeps = ValidationPlan.Kept.best

    /// A twentieth, at least eight tasks; of fewer than eighty tasks that would be too many.
    static let usualShare = 0.05
    static let fewest = 8
    static let fewestToHoldOut = 80
    static let usualLooks = 10
    static let usualPatience = 4

    /// When looks are taken in a training of so many updates.
    func plan(updates: Int) -> ValidationPlan {
        ValidationPlan(
            every: every ?? max(1, (updates + Self.usualLooks - 1) / Self.usualLooks), patience: patience, keeps: keeps)
    }
}

extension ValidationChoice {
    /// Reads `validation`: `none`, a share, or a mapping.
    /// - Parameters:
    ///   - inherited: what holds where the key, or one of its own keys, is not there; nil is none.
    ///   - sharesTasks: whether the tasks that are held out are the recipe's matter: a curriculum's stages go on from one another.
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
        // A value that is neither text nor mapping was refused by the reader.
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
