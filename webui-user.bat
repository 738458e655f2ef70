@echo off
rem Settings of this computer, in A1111's names. Start with this file or with the one beside it.
rem
rem set PYTHON=C:\Python311\python.exe
rem set INDEX_URL=https://a.mirror.of/simple
rem set TORCH_COMMAND=pip install torch==2.15.0 torchvision==0.29.2

set COMMANDLINE_ARGS=

rem Nothing below needs a change. No brackets around blocks: a folder named "x (1)" would end them.
setlocal
chcp 65001 >nul
set PYTHONUTF8=1
if defined PYTHON goto run
if exist "%~dp0.venv\Scripts\python.exe" goto own
where py >nul 2>nul && goto launcher
set PYTHON=python
goto run

:own
set "PYTHON=%~dp0.venv\Scripts\python.exe"
"%PYTHON%" -c "" >nul 2>nul && goto run
set PYTHON=
where py >nul 2>nul && goto launcher
set PYTHON=python

:run
"%PYTHON%" "%~dp0launch.py" %*
goto end

:launcher
for %%v in (3.11 3.12 3.13) do py -%%v -c "" >nul 2>nul && set "PYVERSION=%%v" && goto chosen
set PYTHON=python
goto run

:chosen
py -%PYVERSION% "%~dp0launch.py" %*

:end
if errorlevel 1 pause
endlocal
