import Foundation
import RetortHub

extension Recipe {
    /// The same recipe with the path of every model that it names: students' bases, a teacher's and a judge's
    /// checkpoint.
    /// - Parameters:
    ///   - fetching: whether models that are not on this machine are fetched; otherwise they keep their names, and the
    ///     stage that needs them reports it.
    ///   - locator: looks up names.
    /// - Throws: `RunError.unusable` with every name that cannot be resolved.
    public func locatingModels(fetching: Bool, with locator: ModelLocator = ModelLocator()) async throws -> Recipe {
        var recipe = self
        var faults: [String] = []
        func place(_ text: String, _ whose: String) async throws -> String {
            do {
                let found =
                    fetching ? try await locator.locate(text, progress: FetchLine(text).show) : try locator.find(text)
                return found?.path ?? text
            } catch let error as HubError {
                // A name that cannot be resolved is reported with everything else that is missing.
                if fetching { faults.append("\(whose): \(error)") }
                return text
            }
        }
        for index in recipe.students.indices {
            let student = recipe.students[index]
            recipe.students[index].base = try await place(student.base, "student '\(student.name)'")
        }
        if let folder = recipe.teacher?.folder { recipe.teacher?.folder = try await place(folder, "teacher") }
        if let template = recipe.teacher?.template {
            recipe.teacher?.template = try await place(template, "teacher's template")
        }
        if let folder = recipe.judge?.access.folder { recipe.judge?.access.folder = try await place(folder, "judge") }
        guard faults.isEmpty else { throw RunError.unusable(faults) }
        return recipe
    }
}
