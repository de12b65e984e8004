import Foundation
import Hummingbird
import RetortCore
import RetortRecipes
import RetortStore

/// The list of runs, and the page of a run with its stages as they progress, its figures and its sets.
struct RunRoutes {
    let core: StudioCore

    func add(to router: Router<ServerContext>) {
        router.get("/") { _, _ in
            var rows: [RunsPage.Row] = []
            for run in core.runs.all { rows.append(await RunsPage.row(run)) }
            return try core.page(
                RunsPage(rows: rows.sorted { $0.changed > $1.changed }), "runs", title: "Runs", here: "/")
        }
        router.get("/runs/:run") { _, context in
            let run = try core.runs.run(try context.parameters.require("run"))
            return try core.page(try await RunPage(run), "run", title: run.name, here: "/")
        }
        router.get("/runs/:run/live") { _, context in
            let run = try core.runs.run(try context.parameters.require("run"))
            return try await core.live(context) {
                let html = try core.templates.part(try await RunProgressPart(run), "progress")
                return ([StudioCore.Part(key: html) { html }], run.isInUse ? 1 : 3)
            }
        }
    }
}
