import Foundation
import RetortHub

extension Recipe {
    /// The same recipe with the place of every model that it calls by a name: students' bases, a teacher's and a judge's checkpoint.
    /// - Parameters:
    ///   - fetching: whether what is not on this machine is fetched; otherwise it keeps its name, and whoever needs it says so.
    ///   - locator: where names are looked up.
    /// - Throws: `RunError.unusable` with every name that leads nowhere.
    public func locatingModels(fetching: Bool, with locator: ModelLocator = ModelLocator()) async throws -> Recipe {
        var recipe = self
        var faults: [String] = []
        func place(_ text: String, _ whose: String) async throws -> String {
            do {
                let found =
                    fetching ? try await locator.locate(text, progress: FetchLine(text).show) : try locator.find(text)
                return found?.path ?? text
            } catch let error as HubError {
                // What is neither there nor a name is told with everything else that is missing.
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
